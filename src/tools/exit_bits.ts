/** Exit codes of the tools that work on a store: a sum of what applies, as e2fsck has it. An unknown bit is a failure. */

export const EXIT = {
  clean: 0,
  /** Problems were found and corrected. */
  corrected: 1,
  /** Corrected, and who has the file open must open it again to see it. */
  reopen: 2,
  /** Problems are left. */
  left: 4,
  /** I/O error, no permission, no space, or the store is locked. */
  operational: 8,
  usage: 16,
  /** Stopped by the user or by --max-duration: the result is partial. */
  cancelled: 32,
  /** Bytes could not be saved: they are in the quarantine. */
  lost: 64,
} as const;

/** Last line of what every tool that looks at a store tells people. */
export const NO_FUNDS =
  'No funds are in this file: it is the public map of the network, and peers have it too.';
