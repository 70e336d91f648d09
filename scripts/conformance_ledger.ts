/**
 * What the Lightning specification asks of gossipd, one line per requirement, and where each stands. conformance.ts compares
 * it with the titles of the tests and writes docs/conformance.md from it.
 *
 * B8 is BOLT 8 (transport), B1 BOLT 1 (messages), B7 BOLT 7 (announcements), Q the queries and R the rebroadcasting of
 * BOLT 7, B9 BOLT 9 (features), B10 BOLT 10 (DNS). Text of the BOLTs of May 2026. Titles are ours; the BOLTs decide.
 *
 * bound: at least one test proves it. later: not built yet, or built and not proven. notApplicable: with the reason.
 * When a test names a requirement that is `later` here, `--check` fails until the line says `bound` (`--flip` edits it).
 */

export type Level =
  | 'must'
  | 'should'
  | 'may'
  | 'must/should'
  | 'must/may'
  | 'may/should'
  | 'definition'
  | 'implied';

/** any: reader, relay, server or transport end. origin: owner of a channel or node announcement. seed: DNS seed server. */
export type Role = 'any' | 'origin' | 'seed' | 'client';

export interface Requirement {
  readonly id: string;
  readonly level: Level;
  readonly role: Role;
  /** A few words of ours. */
  readonly what: string;
  readonly state: 'bound' | 'later' | 'not_applicable';
  /** Why it does not apply; only then. */
  readonly reason?: string;
}

const bound = (id: string, level: Level, role: Role, what: string): Requirement => ({
  id,
  level,
  role,
  what,
  state: 'bound',
});

const later = (id: string, level: Level, role: Role, what: string): Requirement => ({
  id,
  level,
  role,
  what,
  state: 'later',
});

const notApplicable = (id: string, level: Level, role: Role, what: string, reason: string): Requirement => ({
  id,
  level,
  role,
  what,
  state: 'not_applicable',
  reason,
});

const NO_CHANNELS = 'gossipd owns no channels and announces none';
const NO_SEED = 'gossipd asks DNS seeds and serves none';

export const LEDGER: readonly Requirement[] = [
  // BOLT 8: transport
  bound('B8-01', 'must', 'any', 'start values of h and ck from the protocol name and the prologue'),
  bound('B8-02', 'must', 'any', "responder's static key mixed into h on both sides before act one"),
  bound('B8-03', 'must', 'any', 'acts of 50, 50 and 66 bytes, version byte in front'),
  bound('B8-04', 'must', 'any', 'unknown version byte refused'),
  bound('B8-05', 'must', 'any', 'new ephemeral key for each session'),
  bound('B8-06', 'must', 'any', 'ECDH hashes the compressed point; HKDF with empty info gives two keys'),
  bound('B8-07', 'must', 'any', 'nonce: four zero bytes, then the counter in little-endian'),
  bound('B8-08', 'must', 'any', 'bad tag in act one: responder hangs up without an answer'),
  bound('B8-09', 'must', 'any', 'bad tag in act two: initiator hangs up'),
  bound('B8-10', 'must', 'any', 'bad tag on the static key of act three: hang up without an answer'),
  bound('B8-11', 'must', 'any', 'bad final tag of act three: hang up without an answer'),
  bound('B8-12', 'must', 'any', 'a key that is no point ends the handshake'),
  bound('B8-13', 'must', 'any', 'a partial act waits for its last byte'),
  bound('B8-14', 'must', 'any', 'messages of at most 65,535 bytes'),
  bound('B8-15', 'must', 'any', 'frame: encrypted two-byte length, then body, each with its tag'),
  bound('B8-16', 'must', 'any', 'counter advances with every seal and every open'),
  bound('B8-17', 'must', 'any', 'each direction rotates its key after 1,000 uses'),
  bound('B8-18', 'implied', 'any', 'a bad tag after the handshake closes the connection'),
  bound('B8-19', 'may', 'any', 'a node key may be a throwaway'),

  // BOLT 1: messages, TLV, set-up
  bound('B1-01', 'must', 'any', 'one connection for each peer'),
  bound('B1-02', 'must', 'any', 'no unknown even types sent'),
  bound('B1-03', 'must', 'any', 'unknown odd type skipped'),
  bound('B1-04', 'must', 'any', 'unknown even type closes'),
  bound('B1-05', 'must', 'any', 'known message that is too short closes'),
  bound('B1-06', 'must', 'any', 'extension that was parsed and is invalid closes'),
  bound('B1-07', 'must', 'any', 'no even types sent in extensions'),
  bound('B1-08', 'must', 'any', 'TLV writer: ascending, unique, minimal'),
  bound('B1-09', 'must', 'any', 'TLV reader: refuses wrong order, non-minimal numbers, overlong records'),
  bound('B1-10', 'must', 'any', 'TLV reader: unknown even refused, unknown odd skipped, known lengths exact'),
  bound('B1-11', 'should', 'any', 'truncated integers carry no leading zero'),
  bound('B1-12', 'must', 'any', 'amounts stay below the supply of bitcoin'),
  bound('B1-13', 'must', 'any', 'init first in each direction, nothing before it'),
  bound('B1-14', 'must', 'any', 'undefined feature bits are zero'),
  bound('B1-15', 'should', 'any', 'globalfeatures end at bit 13; features are as short as possible'),
  bound('B1-16', 'should', 'any', 'networks names every chain that is served'),
  bound('B1-17', 'should', 'any', 'remote_addr tells a caller its public address, never a private one'),
  bound('B1-18', 'must', 'any', 'both feature maps of init are joined'),
  bound('B1-19', 'must', 'any', 'unknown odd feature passes, unknown even feature closes'),
  bound('B1-20', 'may', 'any', 'no common chain closes'),
  bound('B1-21', 'must', 'any', 'feature without what it depends on closes'),
  notApplicable(
    'B1-22',
    'may',
    'any',
    'remote_addr renews our own announcement',
    'gossipd announces no node of its own',
  ),
  bound('B1-23', 'must', 'any', 'error and warning about unknown channels are survived; a warning is logged'),
  bound('B1-24', 'should', 'any', 'only printable ASCII of a peer is shown'),
  bound('B1-25', 'should', 'any', 'padding of pings and pongs is zeros'),
  bound('B1-26', 'must', 'any', 'ping below 65,532 is answered with exactly that length'),
  bound('B1-27', 'may', 'any', 'pong of a wrong length closes'),
  bound('B1-28', 'must', 'any', "signed integers: two's complement, big-endian"),
  notApplicable(
    'B1-29',
    'must/may',
    'any',
    'text fields are valid UTF-8 when written',
    'no message that gossipd reads or writes has a field of type utf8; the alias is 32 bytes with rules of its own (B7-24, B7-27)',
  ),
  notApplicable(
    'B1-30',
    'must',
    'any',
    'sciddir_or_pubkey: first byte tells 9 or 33 bytes',
    'it occurs only in blinded paths of offers and onion messages, which gossipd neither reads nor writes',
  ),
  bound('B1-31', 'definition', 'any', 'type numbers fall into classes'),
  bound('B1-32', 'should', 'any', 'error only for what ends the connection, warning for the rest'),
  bound('B1-33', 'should', 'any', 'unknown bytes of signed messages are kept'),

  // BOLT 7: announcements
  bound('B7-01', 'must', 'any', 'types 256, 257, 258 and 259'),
  bound('B7-02', 'must', 'any', 'channel_announcement: all four signatures hold'),
  bound('B7-03', 'must', 'any', 'channel_announcement: node_id_1 below node_id_2'),
  bound('B7-04', 'must', 'any', 'channel with an unknown even feature is kept and not routed through'),
  bound('B7-05', 'must', 'any', 'funding output is the 2-of-2 of the two keys and unspent'),
  bound('B7-06', 'must', 'any', 'channel_announcement of another chain is skipped'),
  bound('B7-07', 'may/should', 'any', 'channel_announcement before six confirmations waits or is skipped'),
  notApplicable('B7-08', 'must', 'origin', 'no own announcement before six confirmations', NO_CHANNELS),
  bound('B7-09', 'should', 'any', 'channel_announcement with a bad signature: warning, dropped'),
  bound('B7-10', 'should', 'any', 'announcements of blacklisted nodes are skipped'),
  bound('B7-11', 'should', 'any', 'one funding output claimed by different nodes: all four are blacklisted'),
  bound('B7-12', 'should', 'any', 'a new channel_announcement is relayed'),
  bound('B7-13', 'should', 'any', 'a spent channel is forgotten after 72 blocks and not relayed meanwhile'),
  notApplicable('B7-14', 'must', 'origin', 'content of an own channel_announcement', NO_CHANNELS),
  notApplicable('B7-15', 'should', 'origin', 'older ids of a spliced own channel stay relayed', NO_CHANNELS),
  bound('B7-16', 'must', 'any', 'node_announcement: signature holds'),
  bound('B7-17', 'must', 'any', 'node_announcement: node_id is a point'),
  bound('B7-18', 'must/should', 'any', 'node with an unknown even feature is not connected to'),
  bound('B7-19', 'should', 'any', 'addresses before the first unknown descriptor are used'),
  bound('B7-20', 'should', 'any', 'address list that ends inside a descriptor: warning'),
  bound('B7-21', 'should', 'any', 'descriptor with port 0 is skipped'),
  bound('B7-22', 'should', 'any', 'node_announcement needs a known channel and a newer timestamp'),
  bound('B7-23', 'should', 'any', 'a new node_announcement is relayed'),
  bound('B7-24', 'should', 'any', 'alias and colour are shown as claims, made harmless'),
  bound('B7-25', 'should', 'any', 'Tor v2 descriptor is skipped'),
  bound('B7-26', 'must', 'any', 'second hostname is skipped and the message not relayed'),
  notApplicable('B7-27', 'must', 'origin', 'content of an own node_announcement', NO_CHANNELS),
  notApplicable('B7-28', 'should', 'origin', 'addresses of an own node_announcement', NO_CHANNELS),
  bound('B7-29', 'must', 'any', 'channel_update: signature of the node of its direction holds'),
  bound('B7-30', 'must', 'any', 'channel_update of an unknown channel is not taken'),
  bound('B7-31', 'must/should', 'any', 'channel_update of a spent channel counts only when it disables'),
  bound('B7-32', 'must', 'any', 'channel_update of another chain is skipped'),
  bound('B7-33', 'may/should', 'any', 'equal timestamp: same content skipped, other content suspicious'),
  bound('B7-34', 'should', 'any', 'older channel_update is skipped'),
  bound('B7-35', 'may', 'any', 'timestamp far in the future is dropped'),
  bound('B7-36', 'should', 'any', 'a new channel_update is relayed'),
  bound('B7-37', 'should', 'any', 'impossible htlc limits are kept out of routing'),
  bound('B7-38', 'must', 'any', 'dont_forward is never relayed'),
  notApplicable('B7-39', 'must', 'origin', 'content of an own channel_update', NO_CHANNELS),
  notApplicable(
    'B7-40',
    'should',
    'origin',
    'own updates are not redundant; old terms hold ten minutes',
    NO_CHANNELS,
  ),
  bound('B7-41', 'should', 'any', 'short_channel_id as BLOCKxTXxOUT'),
  bound('B7-42', 'should', 'any', 'channel with a side silent for two weeks may be pruned'),
  bound(
    'B7-43',
    'should',
    'any',
    'funding outputs are watched; 72 confirmations after the spend the channel goes',
  ),
  bound('B7-44', 'may', 'any', 'node without channels is dropped'),
  notApplicable(
    'B7-45',
    'must',
    'origin',
    'announcement_signatures are exchanged at the right depth',
    NO_CHANNELS,
  ),
  bound('B7-46', 'should', 'any', 'announcement_signatures of an unknown channel: warning'),
  notApplicable('B7-47', 'should', 'any', 'updates of own private channels are taken', NO_CHANNELS),
  bound('B7-48', 'should', 'any', 'repeated announcement of a known channel does no harm'),
  bound('B7-49', 'must', 'any', 'bytes behind the last known field are signed, kept and relayed'),

  // BOLT 7: queries
  bound('Q-01', 'should', 'any', 'peers without gossip_queries are not queried'),
  bound('Q-02', 'must', 'any', 'one query_short_channel_ids at a time for each peer'),
  bound('Q-03', 'must', 'any', 'id arrays: chain, encoding 0, whole number of ids'),
  bound('Q-04', 'should', 'any', 'ids of spent or missing outputs are not asked for'),
  bound('Q-05', 'must', 'any', 'query_flags: one for each id'),
  bound('Q-06', 'may', 'any', 'a broken or overlapping query draws a warning'),
  bound('Q-07', 'must', 'any', 'an id is answered with its announcement, updates and nodes, or as flags ask'),
  bound('Q-08', 'should', 'any', 'each node_announcement once in a reply, without delay'),
  bound('Q-09', 'must', 'any', 'a reply always ends with reply_short_channel_ids_end'),
  bound('Q-10', 'must/should', 'any', 'full_information says whether the chain is served'),
  bound('Q-11', 'must', 'any', 'one query_channel_range at a time, of at least one block'),
  bound('Q-12', 'must', 'any', 'range replies cover the range in order'),
  bound('Q-13', 'must', 'any', 'only the last range reply is complete and reaches the end'),
  bound('Q-14', 'must', 'any', 'a reply holds what fits; a block may be split'),
  bound('Q-15', 'may', 'any', 'timestamps and checksums are added on request'),
  bound('Q-16', 'must', 'any', 'checksum: CRC32C over the update without signature and timestamp'),
  bound(
    'Q-17',
    'must/should',
    'any',
    'filter names the chain; one that wants nothing for peers without the feature',
  ),
  bound('Q-18', 'should', 'any', 'messages inside the filter are sent'),
  bound('Q-19', 'must', 'any', 'announcement takes the time of an update and waits for the first'),
  bound('Q-20', 'should', 'any', 'spent channels are left out of the answer to a filter'),
  bound('Q-21', 'must', 'any', 'announcement before its updates and nodes'),
  bound('Q-22', 'must', 'any', "nothing of others is sent before the peer's filter"),

  // BOLT 7: rebroadcasting
  bound('R-01', 'should', 'any', 'newer messages replace older ones and are kept to be served again'),
  bound('R-02', 'should', 'any', 'outgoing gossip is flushed on a timer, the latest of each origin'),
  bound('R-03', 'should', 'any', 'chains that the peer did not name are not sent to it'),
  notApplicable('R-04', 'may', 'origin', 'own channels are announced again, rarely', NO_CHANNELS),

  // BOLT 9: features
  bound('B9-01', 'should', 'any', 'odd bit for supported, even bit for required'),
  bound('B9-02', 'must', 'any', 'never both bits, never an unsupported one, never without dependencies'),
  bound('B9-03', 'must', 'any', 'both bits received count as required'),
  bound('B9-04', 'must', 'any', 'assumed features count as set'),

  // BOLT 10: DNS
  notApplicable('B10-01', 'must', 'seed', 'order in which conditions are read', NO_SEED),
  notApplicable('B10-02', 'must', 'seed', 'conditions r, a, l and n', NO_SEED),
  notApplicable('B10-03', 'should', 'seed', 'every condition is met', NO_SEED),
  notApplicable('B10-04', 'must', 'seed', 'address records only for the default port', NO_SEED),
  notApplicable('B10-05', 'must', 'seed', 'random subset, or one node whole', NO_SEED),
  notApplicable('B10-06', 'must', 'seed', 'form and lifetime of an answer', NO_SEED),
  bound('B10-07', 'must', 'client', 'a seed is a hint; nothing depends on its answer'),
  bound('B10-08', 'must', 'client', 'node id from the bech32 label of an SRV answer'),
];

/** The constructors, so that a test can build ledgers of its own. */
export const requirement = { bound, later, notApplicable } as const;
