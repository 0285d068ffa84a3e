import * as library from "../../dist/index.js";

export { ensureSearchIndexes, nearest, nearestMany, searchIndex, vectorColumn } from "../../dist/index.js";

type Db = Parameters<typeof library.configure>[0];
type OptimizeIndex = (db: Db, index: unknown) => Promise<unknown>;

const { optimize: optimizeIndex } = library as { optimize?: OptimizeIndex };

/** Whether the library under test writes its codes into tables; without, they live in memory only. */
export const canPersist = optimizeIndex !== undefined;

/** Writes what has changed into the index's tables, where the library can. */
export async function optimize(db: Db, index: unknown): Promise<void> {
  await optimizeIndex?.(db, index);
}

/** Sets options that the library under test may not know yet. False where it does not. */
export function tryConfigure(db: Db, options: object): boolean {
  try {
    library.configure(db, options);
    return true;
  } catch (error) {
    if (!(error instanceof library.InvalidOptionError)) throw error;
    return false;
  }
}
