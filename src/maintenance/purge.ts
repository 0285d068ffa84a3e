import { installedIn } from "../change/attachment.ts";
import { type DbLike, type Driver, driverOf, type Row } from "../driver/driver.ts";
import { findIndex } from "../migration/installed.ts";
import { identifier } from "../migration/sql-text.ts";
import { namesOf } from "../schema/names.ts";
import { forgetCodes } from "../vector/resident-column.ts";
import { stopFolds } from "../vector/upkeep.ts";
import { foldColumns, vectorColumnsOf } from "./optimize.ts";
import { checkOutside, type LongWorkOptions, longWorkOptions, outsideTransactions } from "./slices.ts";
import { unreadableIndex } from "./target.ts";

export interface PurgeResult {
  /** The indexes that were gone through, by name. */
  indexes: string[];
  /**
   * Whether the write-ahead log was emptied. False while another connection reads: then old pages stay in it until the next
   * checkpoint that can, which every later `purge` tries.
   */
  checkpointed: boolean;
  ms: number;
}

/**
 * Removes what deleted and overwritten rows have left in the database file. A DELETE in SQLite frees pages and leaves their bytes;
 * FTS5 keeps the words of a deleted text until its parts are merged; codes of a deleted vector stay until the next fold. After
 * `purge` neither text nor vector nor code of a deleted row is in the file or its write-ahead log, whichever table it was in:
 * every text index is merged, the file is rewritten (`VACUUM`), codes are written anew, and the log is checkpointed.
 *
 * It takes as long as VACUUM, needs as much free space as the database has, and waits for other writers as your statements do.
 * Backups, snapshots of the file system and the blocks of deleted journal files are beyond its reach.
 *
 * SQL: `INSERT INTO "_dv_docs_search_fts" ("_dv_docs_search_fts") VALUES ('optimize')`, `PRAGMA secure_delete = ON`, `VACUUM`,
 * `PRAGMA wal_checkpoint(TRUNCATE)`
 *
 * @throws {TransactionOpenError} inside a transaction
 * @throws {IndexFormatError} when a newer version of the library made one of the indexes, or its record is damaged; nothing is done
 * @throws {ReadOnlyError | UnsupportedDriverError}
 * @example await db.delete(users).where(eq(users.id, id)); await purge(db);
 */
export async function purge(db: DbLike, options?: Pick<LongWorkOptions, "signal">): Promise<PurgeResult> {
  const start = performance.now();
  const { signal } = longWorkOptions<Pick<LongWorkOptions, "signal">>(options, "purge", ["signal"]);
  const driver = driverOf(db);
  signal?.throwIfAborted();
  const { names, texts, isShared } = await driver.run(function* ({ isShared: shared }) {
    const installed = yield* installedIn();
    const recorded = installed.indexes.flatMap(({ name, record }) => (record ? [{ name, record }] : []));
    const withText = recorded.filter(({ name, record }) => {
      // What cannot be read cannot be purged, and must not be reported as if it were.
      if (!record.definition) throw unreadableIndex(name, record);
      const { fts } = namesOf(name).tables;
      return record.definition.text && findIndex(installed, name)!.objects.some((object) => object.name === fts);
    });
    return { names: recorded.map(({ name }) => name), texts: withText.map(({ name }) => name), isShared: shared };
  });
  checkOutside(isShared, "purge", "rewrites the file");
  stopFolds(driver.connection);
  forgetCodes(driver.connection);
  const [before] = await pragma(driver, "PRAGMA secure_delete");
  await pragma(driver, "PRAGMA secure_delete = ON");
  try {
    for (const name of texts) {
      signal?.throwIfAborted();
      const fts = identifier(namesOf(name).tables.fts);
      await outsideTransactions(driver, signal, function* () {
        yield { type: "rows", sql: `INSERT INTO ${fts} (${fts}) VALUES ('optimize')`, params: [] };
        return true;
      });
    }
    signal?.throwIfAborted();
    await pragma(driver, "VACUUM");
    if (driver.tryWrite) {
      for (const name of names) {
        const columns = await driver.run((snapshot) => vectorColumnsOf({ name }, driver, snapshot));
        await foldColumns(driver, columns, { signal });
      }
    }
    const [checkpoint] = await pragma(driver, "PRAGMA wal_checkpoint(TRUNCATE)");
    return { indexes: names, checkpointed: Number(checkpoint?.[0]) === 0, ms: performance.now() - start };
  } finally {
    await pragma(driver, `PRAGMA secure_delete = ${Number(before?.[0] ?? 0)}`);
  }
}

async function pragma(driver: Driver, sql: string): Promise<readonly Row[]> {
  return await driver.bare(sql);
}
