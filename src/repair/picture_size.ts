/** How many cells a picture of a store has: kept apart, so that who asks for help does not wait for what draws it. */

export const DEFAULT_COLUMNS = 64;
export const DEFAULT_ROWS = 32;
/** Columns and rows are between these: at most 262,144 cells, 19 MB. */
export const LEAST_COLUMNS = 8;
export const LEAST_ROWS = 1;
export const MOST_COLUMNS = 512;
export const MOST_ROWS = 512;
