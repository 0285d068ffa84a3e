import { type Attachment, attachmentOfVector, attachmentsOf } from "../change/attachment.ts";
import { casingOf } from "../driver/casing.ts";
import type { DbLike, Driver, Snapshot, Steps } from "../driver/driver.ts";
import { report, reportOnce } from "../driver/events.ts";
import { columnName } from "../migration/definition.ts";
import { bareScan } from "./bare-scan.ts";
import { certifiedScan } from "./certified-scan.ts";
import type { Found } from "./found.ts";
import type { NearestRequest } from "./nearest-request.ts";
import type { Values } from "./search-query.ts";

/** Chooses the plan and runs it: the codes of the column's index where they can be relied on, else the whole table. */
export function* findNearest(request: NearestRequest, { db, driver, values, snapshot }: FindInput): Steps<Chosen> {
  const attachment = yield* indexOf(request, { db, driver, snapshot });
  const index = attachment?.name ?? null;
  // A query of no rows reads none.
  if (!attachment || request.limit === 0) return { ...(yield* bareScan(request, db, values)), index, fallback: null };
  const { name, problems } = attachment;
  if (problems.length > 0) {
    const fallback = problems.map(({ message }) => message).join("; ");
    reportOnce(driver.connection, {
      code: "FALLBACK",
      index: name,
      message: `index ${name} may have missed writes, every row is read instead: ${fallback}`,
      hint: `Run "drizzle-vector rebuild ${name}" to repair this database, and "drizzle-vector generate" to repair the migrations.`,
    });
    return { ...(yield* bareScan(request, db, values)), index, fallback };
  }
  // An asynchronous driver hands out its connection between two steps: codes that several searches share need one at a time.
  if (driver.kind === "async") return { ...(yield* bareScan(request, db, values)), index, fallback: null };
  const found = yield* certifiedScan({ request, driver, db, attachment, values });
  if (!("refusal" in found)) return { ...found, index, fallback: null };
  if (found.isFault) {
    reportOnce(driver.connection, {
      code: "FALLBACK",
      index: name,
      message: `index ${name} was answered from the table: ${found.refusal}`,
      hint: "The answer is right, and the codes are made anew. Please report how this came about.",
    });
  }
  return { ...(yield* bareScan(request, db, values)), index, fallback: found.refusal };
}

export interface FindInput {
  readonly db: DbLike;
  readonly driver: Driver;
  readonly values: Values;
  readonly snapshot: Snapshot;
}

/** What the chosen plan found. */
export interface Chosen extends Found {
  /** The search index the column belongs to, or null. */
  index: string | null;
  /** Why that index was not asked, or null where it was or there is none. */
  fallback: string | null;
}

/** The index a column belongs to, if any. */
function* indexOf(
  { column, keyed }: NearestRequest,
  { db, driver, snapshot }: Omit<FindInput, "values">,
): Steps<Attachment | undefined> {
  const attachments = yield* attachmentsOf(driver, snapshot);
  return attachmentOfVector(attachments, keyed.name, columnName(column, casingOf(db)));
}

/** Tells `onEvent` of rows whose bytes are no vector of the column. */
export function reportSkipped(
  { label }: NearestRequest,
  { rowsSkipped, rowsScanned, index }: Chosen,
  connection: object,
): void {
  const { wrongLength, notFinite, notAVector } = rowsSkipped;
  const skipped = wrongLength + notFinite + notAVector;
  if (skipped === 0) return;
  report(connection, {
    code: "ROWS_SKIPPED",
    index,
    message: `${label}: ${skipped} of ${rowsScanned} rows were left out: ${wrongLength} of another length, ${notFinite} with NaN or infinity, ${notAVector} that are no blob`,
    hint: "Write vectors through the column, which checks them, and embed the rows left out again.",
  });
}
