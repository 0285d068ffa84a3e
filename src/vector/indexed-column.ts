import type { Attachment } from "../change/attachment.ts";
import { type Log, logOf } from "../change/log.ts";
import type { VectorShape } from "../codec/codec.ts";
import type { Step, Steps } from "../driver/driver.ts";
import type { Metric } from "../metric/metric.ts";
import type { IndexDefinition, VectorDefinition } from "../migration/definition.ts";
import type { TableFacts } from "../migration/table-facts.ts";

/** A vector column of an index that follows every write. */
export interface IndexedColumn {
  readonly attachment: Attachment;
  readonly definition: IndexDefinition;
  readonly table: TableFacts;
  /** Its name in the database. */
  readonly column: string;
  readonly shape: VectorShape;
  readonly metric: Metric;
  /** Whether it has codes for exact answers, or 1-bit codes alone. */
  readonly isExact: boolean;
  readonly log: Log;
  /** What tells it from other columns of the database, and from what it may be after another migration. */
  readonly key: string;
}

/** Each query looks for its own, and attachments are kept from one to the next. */
const known = new WeakMap<VectorDefinition, IndexedColumn>();

/** A column of an index, as its codes are made; undefined where the index is not attached. */
export function indexedColumnOf(attachment: Attachment, vector: VectorDefinition): IndexedColumn | undefined {
  let column = known.get(vector);
  if (column?.attachment !== attachment) {
    column = made(attachment, vector);
    if (column) known.set(vector, column);
  }
  return column;
}

function made(attachment: Attachment, vector: VectorDefinition): IndexedColumn | undefined {
  const { table, record, problems } = attachment;
  const definition = record.definition;
  if (!definition || !table || problems.length > 0) return undefined;
  const { column, dimensions, element, metric, exact } = vector;
  const shape = { dimensions, element };
  const [log, key] = [logOf(definition.name), heldKey({ definition, column, shape, metric })];
  return { attachment, definition, table, column, shape, metric, isExact: exact, log, key };
}

/** What tells the caches of a connection from each other. */
export function heldKey({ definition, column, shape, metric }: HeldColumn): string {
  return `${shape.element} ${shape.dimensions} ${metric} ${columnKey({ definition, column })}`;
}

export type HeldColumn = Pick<IndexedColumn, "definition" | "column" | "shape" | "metric">;

/** What names a column's chunks. */
export type StoredColumn = Pick<IndexedColumn, "definition" | "column">;

/** What tells the columns of a database from each other. */
export function columnKey({ definition, column }: StoredColumn): string {
  return `${definition.name}\0${column}`;
}

/** Steps of a few milliseconds at most each; where nothing is yielded they may be left for a while. */
export type BreathingSteps<T> = Generator<Step | undefined, T, any>;

/** The same without a pause. */
export function* withoutPause<T>(work: BreathingSteps<T>): Steps<T> {
  let next = work.next();
  while (!next.done) next = next.value ? work.next(yield next.value) : work.next();
  return next.value;
}
