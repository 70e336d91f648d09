/**
 * The configuration table as text for people: options of the command line, the sample file, and docs/configuration.md.
 * Pure; made from CONFIG_TABLE alone, so that none of them can be wrong about it.
 */
import {
  acceptedText,
  CONFIG_KEYS,
  type ConfigEntry,
  configEntry,
  defaultText,
  flagName,
  variableName,
} from './config_table.ts';

export interface FlagRow {
  /** As commander takes it: `--data-dir <path>`. */
  readonly flags: string;
  readonly description: string;
  /** Left out of `--help`: the direction of a boolean that is the default anyway. */
  readonly hidden: boolean;
  /** May be given several times. */
  readonly repeatable: boolean;
}

const VALUE_NAMES: Readonly<Record<ConfigEntry['type'], string>> = {
  boolean: '',
  integer: ' <number>',
  choice: ' <word>',
  path: ' <path>',
  listen_list: ' <host:port>',
  peer_list: ' <node_id@host:port>',
  address: ' <host:port>',
  utxo: ' <backend>',
};

const rowsFor = (key: string, entry: ConfigEntry): FlagRow[] => {
  const name = flagName(key);
  if (entry.type === 'boolean') {
    // Both directions exist: with only `--no-x`, commander would hand over `x: true` that nobody gave.
    const no = `--no-${name.slice(2)}`;
    const common = { repeatable: false };
    return [
      { flags: name, description: entry.doc, hidden: entry.default, ...common },
      { flags: no, description: `do not ${entry.doc}`, hidden: !entry.default, ...common },
    ];
  }
  const choices = entry.type === 'choice' ? `: ${entry.choices.join(', ')}` : '';
  return [
    {
      flags: name + VALUE_NAMES[entry.type],
      description: `${entry.doc}${choices} (default: ${defaultText(entry)})`,
      hidden: false,
      repeatable: entry.type === 'listen_list' || entry.type === 'peer_list',
    },
  ];
};

/** Options for the command line, in the order of the table. None carries a default: the table has them. */
export const flagRows = (): FlagRow[] => CONFIG_KEYS.flatMap((key) => rowsFor(key, configEntry(key)));

const tomlExample = (entry: ConfigEntry): string => {
  switch (entry.type) {
    case 'boolean':
      return String(entry.default);
    case 'integer':
      return entry.default === 'derived' ? '2' : String(entry.default);
    case 'choice':
    case 'address':
    case 'utxo':
      return JSON.stringify(entry.default);
    case 'path':
      return '"/path/to/it"';
    case 'listen_list':
    case 'peer_list':
      return '[]';
  }
};

/** A file with every key commented out at its default; a valid configuration as it is, and with any line opened. */
export const sampleToml = (): string => {
  const lines = [
    '# gossipd.toml: every key with its default. Remove the "#" in front of a key to change it.',
    '# A flag (--kebab-case) or a variable (GOSSIPD_UPPER_SNAKE) of the same name goes before this file.',
  ];
  for (const key of CONFIG_KEYS) {
    const entry = configEntry(key);
    lines.push('', `# ${entry.doc}`, `# ${acceptedText(entry)}; default: ${defaultText(entry)}`);
    lines.push(`#${key} = ${tomlExample(entry)}`);
  }
  return `${lines.join('\n')}\n`;
};

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** The whole of docs/configuration.md. */
export const configurationDocument = (): string => {
  const rows = CONFIG_KEYS.map((key) => {
    const entry = configEntry(key);
    const cells = [`\`${key}\``, cell(acceptedText(entry)), cell(defaultText(entry)), cell(entry.doc)];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '# Configuration',
    '',
    'Written by `node dist/scripts/docs.js` from `src/daemon/config_table.ts`: do not edit.',
    '',
    'Every key can be given four ways. The first one that is given counts:',
    '',
    `1. a flag, \`${flagName('sync_interval_ms')} 500\`; booleans also as \`--no-dns-seeds\`; lists by repeating it or with commas`,
    `2. an environment variable, \`${variableName('sync_interval_ms')}=500\`; an empty one counts as unset`,
    '3. a line of the file, `sync_interval_ms = 500`',
    '4. the default',
    '',
    'The file is TOML: `--config FILE`, else `$GOSSIPD_CONFIG`, else `gossipd/gossipd.toml` in `$XDG_CONFIG_HOME` or `~/.config`. Paths in',
    'it start from its folder; `~/` is the home folder. An unknown key, a wrong type or a value out of bounds stops the start',
    'with one sentence that names the key and where it came from.',
    '',
    '| key | takes | default | what it does |',
    '|---|---|---|---|',
    ...rows,
    '',
    '## Sample file',
    '',
    '```toml',
    sampleToml().trimEnd(),
    '```',
    '',
  ].join('\n');
};
