/** The least and the greatest id a row can have: SQLite's integers have 64 bits. */
export const FIRST_ID = -(2n ** 63n);
export const LAST_ID = 2n ** 63n - 1n;
