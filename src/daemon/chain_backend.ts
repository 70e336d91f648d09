/** Opens the chain backend that the configuration names; chain_choice.ts reads the name. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { OperationalError } from '../base/errors.ts';
import { type Log, silentLog } from '../base/log.ts';
import { type Meter, silentMeter } from '../base/meter.ts';
import type { Clock } from '../base/time.ts';
import { openBitcoindRest } from '../chain/bitcoind_rest.ts';
import { openBitcoindRpc } from '../chain/bitcoind_rpc.ts';
import type { ChainBackend } from '../chain/block_source.ts';
import { openElectrum } from '../chain/electrum.ts';
import { openEsplora } from '../chain/esplora.ts';
import { fetchHttp } from '../chain/fetch_http.ts';
import { lookupOnly } from '../chain/lookup_only.ts';
import { dialLines } from '../chain/tcp_lines.ts';
import type { TipPush } from '../chain/tip_push.ts';
import { utxoNone } from '../chain/utxo_none.ts';
import { openUtxoTable } from '../chain/utxo_table.ts';
import { openZmqBlocks } from '../chain/zmq_blocks.ts';
import { systemClock } from '../observe/system_clock.ts';
import { dialTcp } from '../peer/tcp.ts';
import { CHAIN_CHOICES_TEXT, chainChoiceShown, parseChainChoice } from './chain_choice.ts';
import type { Config } from './config.ts';

export type ChainConfig = Pick<Config, 'utxo' | 'network' | 'bitcoind_cookie' | 'bitcoind_zmq'>;

export interface ChainPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

/** Throws OperationalError `bad_config` or `utxo_table_damaged`. A backend that does not answer is no error: it is waited for. */
export const openChainBackend = (config: ChainConfig, ports: ChainPorts): ChainBackend => {
  const { network } = config;
  const choice = parseChainChoice(config.utxo);
  switch (choice?.kind) {
    case 'none':
      return lookupOnly(utxoNone);
    case 'table':
      return lookupOnly(openUtxoTable(tableImage(choice.path)));
    case 'bitcoind': {
      const { user, password, url } = choice;
      const credentials =
        user === undefined || password === undefined
          ? { readCookie: () => readFile(config.bitcoind_cookie, 'utf8') }
          : { user, password };
      return openBitcoindRpc({
        ...ports,
        ...zmqPush(config, ports),
        network,
        url,
        credentials,
        http: fetchHttp,
      });
    }
    case 'bitcoind-rest':
      return openBitcoindRest({
        ...ports,
        ...zmqPush(config, ports),
        network,
        url: choice.url,
        http: fetchHttp,
      });
    case 'electrum':
      return openElectrum({ ...ports, ...choice.target, network, dial: dialLines });
    case 'esplora':
      return openEsplora({ ...ports, network, url: choice.url, http: fetchHttp });
    case undefined:
      throw new OperationalError(
        'bad_config',
        'stop',
        `utxo: "${chainChoiceShown(config.utxo)}" is no chain backend`,
        `Use ${CHAIN_CHOICES_TEXT}.`,
      );
  }
};

/** For a tool that asks and ends: without log and counters. Whoever opens it closes it. */
export const openQuietChainBackend = (config: ChainConfig): ChainBackend =>
  openChainBackend(config, { clock: systemClock(), log: silentLog, meter: silentMeter });

const zmqPush = (config: ChainConfig, ports: ChainPorts): { readonly push?: TipPush } => {
  if (config.bitcoind_zmq === 'none') return {};
  const address = hostAndPort(config.bitcoind_zmq);
  return { push: openZmqBlocks({ ...ports, ...address, dial: dialTcp }) };
};

/** @param text HOST:PORT as config_value.ts has checked it */
export const hostAndPort = (text: string): { readonly host: string; readonly port: number } => {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
};

const tableImage = (path: string): Uint8Array => {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new OperationalError(
      'bad_config',
      'stop',
      `utxo: cannot read ${path}`,
      'Check the path after "table:".',
      error,
    );
  }
};
