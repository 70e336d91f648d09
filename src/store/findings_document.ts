/** docs/findings.md, made from the list of findings: what each id means, and what repair does about it. */
import { FINDING_KINDS, type Finding, type Fix } from './finding.ts';

const FIX_WORDS: Readonly<Record<Fix, string>> = {
  keep: 'stays',
  drop: 'left out',
  quarantine: 'bytes set aside',
  restore: 'header put right',
  add_amount: 'amount added',
  move: 'moved to where its order is right',
  set_version: 'version byte set',
  add_uuid: 'uuid added',
  none: 'nothing',
};

const HEAD = `# Findings

What \`gossipd check\` can say about a \`gossip_store\`. Made from \`src/store/finding.ts\` by \`node dist/scripts/docs.js\`. An id never
changes its meaning. Severity: \`error\` costs records or stops a reader of CLN, \`warn\` is dead weight or contradicts the
order of the format, \`info\` is neither. A single finding may be less severe, or be repaired in another way, than its kind says here: its
own \`severity\` and \`fix\` count. \`offset\` counts to the first byte concerned, of a record to its header.

| id | severity | what | repair | CLN stopped writing it |
|---|---|---|---|---|
`;

const row = ([id, kind]: [string, (typeof FINDING_KINDS)[Finding['id']]]): string => {
  const fixedIn = 'fixed_in' in kind ? kind.fixed_in : '';
  return `| \`${id}\` | ${kind.severity} | ${kind.means} | ${FIX_WORDS[kind.fix]} | ${fixedIn} |`;
};

export const findingsDocument = (): string => `${HEAD}${Object.entries(FINDING_KINDS).map(row).join('\n')}\n`;
