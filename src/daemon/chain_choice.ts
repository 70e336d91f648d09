/**
 * The text of the configuration key `utxo`, read: which chain backend, and where it is.
 *
 *   none | table:FILE | bitcoind:http://USER:PASSWORD@HOST:PORT | bitcoind:http://HOST:PORT (with the cookie)
 *   bitcoind-rest:http://HOST:PORT | electrum:tls://HOST:PORT (with ?fingerprint=SHA256 or ?verify=authority) |
 *   electrum:tcp://HOST:PORT | esplora:https://HOST/PATH
 *
 * config_value.ts checks with it, chain_backend.ts opens what it names. Pure.
 */
import { type LineTarget, parseLineTarget } from '../chain/line_socket.ts';

export type ChainChoice =
  | { readonly kind: 'none' }
  | { readonly kind: 'table'; readonly path: string }
  /** Without user and password the cookie file is used. */
  | {
      readonly kind: 'bitcoind';
      readonly url: string;
      readonly user: string | undefined;
      readonly password: string | undefined;
    }
  | { readonly kind: 'bitcoind-rest'; readonly url: string }
  | { readonly kind: 'electrum'; readonly target: LineTarget }
  | { readonly kind: 'esplora'; readonly url: string };

/** For messages and documents. */
export const CHAIN_CHOICES_TEXT =
  'none, table:FILE, bitcoind:http://USER:PASSWORD@HOST:PORT, bitcoind-rest:http://HOST:PORT, electrum:tls://HOST:PORT or ' +
  'esplora:https://HOST/PATH';

/** Without the slash at the end, so that paths can be appended. */
const httpUrl = (text: string): URL | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:');
  return isHttp && url.hostname !== '' && url.search === '' && url.hash === '' ? url : undefined;
};

const plain = (url: URL): string => `${url.origin}${url.pathname}`.replace(/\/+$/, '');

const bitcoind = (text: string): ChainChoice | undefined => {
  const url = httpUrl(text);
  if (url === undefined) return undefined;
  const hasLogin = url.username !== '' || url.password !== '';
  const decoded = (part: string): string | undefined => {
    try {
      return decodeURIComponent(part);
    } catch {
      return undefined;
    }
  };
  const [user, password] = [decoded(url.username), decoded(url.password)];
  if (user === undefined || password === undefined) return undefined;
  return {
    kind: 'bitcoind',
    url: plain(url),
    user: hasLogin ? user : undefined,
    password: hasLogin ? password : undefined,
  };
};

const withoutLogin = (text: string): string | undefined => {
  const url = httpUrl(text);
  return url === undefined || url.username !== '' || url.password !== '' ? undefined : plain(url);
};

/** Undefined if the text names no backend. The path of a table is as given. */
export const parseChainChoice = (text: string): ChainChoice | undefined => {
  if (text === 'none') return { kind: 'none' };
  const match = /^([a-z-]+):(.+)$/s.exec(text);
  const rest = match?.[2] ?? '';
  switch (match?.[1]) {
    case 'table':
      return { kind: 'table', path: rest };
    case 'bitcoind':
      return bitcoind(rest);
    case 'bitcoind-rest': {
      const url = withoutLogin(rest);
      return url === undefined ? undefined : { kind: 'bitcoind-rest', url };
    }
    case 'electrum': {
      const target = parseLineTarget(rest);
      return target === undefined ? undefined : { kind: 'electrum', target };
    }
    case 'esplora': {
      const url = withoutLogin(rest);
      return url === undefined ? undefined : { kind: 'esplora', url };
    }
    default:
      return undefined;
  }
};

/** The text as it may be shown: a password in it becomes dots. */
export const chainChoiceShown = (text: string): string =>
  text.replace(/^(bitcoind:https?:\/\/[^:@/]*):[^@/]*@/, '$1:•••@');
