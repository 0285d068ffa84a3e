import { type DbLike, driverOf } from "../driver/driver.ts";
import { scanThreads } from "../kernel/scan-threads.ts";
import { forgetCodes } from "../vector/resident-column.ts";
import { stopFolds } from "../vector/upkeep.ts";

/**
 * Lets go at once of all that the library holds in memory for a database's connection, and ends its upkeep where it stands. The
 * connection stays as usable as before: the next query loads what it needs. Without it everything is let go of when the
 * connection is collected as garbage. Threads that scan for `nearestMany` end, too, until there is work for them again.
 *
 * @throws {UnsupportedDriverError}
 * @example release(db); client.close();
 */
export function release(db: DbLike): void {
  const { connection } = driverOf(db);
  stopFolds(connection);
  forgetCodes(connection);
  scanThreads.dismiss();
}
