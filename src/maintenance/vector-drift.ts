import { codecOf } from "../codec/codec.ts";
import type { Row, Steps } from "../driver/driver.ts";
import type { IndexDefinition, VectorDefinition } from "../migration/definition.ts";
import { identityOf } from "../migration/identity.ts";
import { identifier } from "../migration/sql-text.ts";
import type { TableFacts } from "../migration/table-facts.ts";
import { tableNameOf } from "../schema/names.ts";
import { ColumnReader } from "../vector/column-reader.ts";
import { columnSpace } from "../vector/column-space.ts";
import { hasOutgrown } from "../vector/fold.ts";
import { type Generations, liveRows, type Manifest } from "../vector/generation.ts";
import { withoutPause } from "../vector/indexed-column.ts";
import { CHANGES_MIN, changesMin } from "../vector/upkeep.ts";
import { firstRow } from "./target.ts";

/** How far a column has moved away from its codes on disk. Answers stay right; this is about time and, for a recall below 1, what is found. */
export interface VectorDrift {
  /** Rows that were added, altered or deleted since the codes were written: a new process reads them from the table. */
  changed: number;
  /** Of the rows whose codes are on disk, 0..1, or more where more have changed. */
  changedShare: number;
  /** Share of the rows on disk that came after the model they are coded with was fitted, 0..1; beyond a half `optimize` fits a new one. */
  unfitted: number;
  /**
   * How much of the vectors' spread about the model's centre comes from their having moved elsewhere, 0..1, measured on
   * up to 256 rows; a few thousandths are chance. Large where the rows were embedded anew by another model. Null for bits, which
   * have no model, and for a table without vectors.
   */
  shift: number | null;
}

/** What helps, and why. */
export interface DriftAdvice {
  action: "optimize" | "rebuild";
  /** In a sentence without a full stop. */
  reason: string;
}

export interface DriftInput {
  readonly definition: IndexDefinition;
  readonly vector: VectorDefinition;
  readonly table: TableFacts;
}

const SAMPLE_ROWS = 256;
const SHIFT_MAX = 0.1;
const ROUNDING = 2 ** -40;

/** @throws {ChunkDamage} when the model cannot be read */
export function* vectorDriftOf(
  { definition, vector, table }: DriftInput,
  generations: Generations,
  manifest: Manifest,
): Steps<VectorDrift> {
  const rows = liveRows(manifest.segments);
  const log = `main.${identifier(tableNameOf(definition.name, "log"))}`;
  // NULL says that every row may have changed.
  const counted = yield* firstRow(
    `SELECT count(DISTINCT id), count(*) - count(id) FROM ${log} WHERE seq > ${manifest.base.seq}`,
  );
  const [ids, all] = counted!.map(Number);
  const changed = all! > 0 ? Math.max(rows, ids!) : ids!;
  return {
    changed,
    changedShare: changed / Math.max(rows, 1),
    unfitted: rows === 0 ? 0 : Math.max(0, 1 - manifest.fittedRows / rows),
    shift: yield* shiftOf({ definition, vector, table }, yield* generations.model(manifest.model)),
  };
}

function* shiftOf({ definition, vector, table }: DriftInput, model: Uint8Array): Steps<number | null> {
  const { column, dimensions, element, metric, exact: isExact } = vector;
  const shape = { dimensions, element };
  const oneBit = columnSpace({ shape, metric, isExact }, model)?.oneBit;
  if (!oneBit) return null;
  const { centre } = oneBit.shape;
  const sample = yield* withoutPause(new ColumnReader({ definition, table, column, shape }).sample(SAMPLE_ROWS));
  const moved = new Float64Array(dimensions);
  let spread = 0;
  let length = 0;
  let count = 0;
  for (const bytes of sample) {
    const row = codecOf(element).decode(bytes);
    let squares = 0;
    for (let i = 0; i < dimensions; i++) squares += row[i]! ** 2;
    if (!Number.isFinite(squares)) continue;
    const unit = metric !== "cosine" ? 1 : squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let i = 0; i < dimensions; i++) {
      const away = row[i]! * unit - centre[i]!;
      moved[i]! += away;
      spread += away ** 2;
      length += (row[i]! * unit) ** 2;
    }
    count++;
  }
  if (count === 0) return null;
  const shift = moved.reduce((sum, away) => sum + (away / count) ** 2, 0);
  // Rows that are all alike are away by the rounding of the centre.
  return spread <= length * ROUNDING ? 0 : Math.min(1, (shift * count) / spread);
}

/** What to do about drift; null: nothing. */
export function adviceOn({ changed, changedShare, unfitted, shift }: VectorDrift, rows: number): DriftAdvice | null {
  const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
  if (shift !== null && shift > SHIFT_MAX && rows >= SAMPLE_ROWS) {
    const reason = `the vectors have moved away from what their codes were fitted to: ${percent(shift)} of their spread`;
    return { action: "rebuild", reason };
  }
  // Queries have so many written by themselves.
  if (changed >= changesMin(rows)) {
    const count = (number: number) => number.toLocaleString("en-US");
    // More than all there were is no share of them.
    const of = changedShare <= 1 ? `, ${percent(changedShare)},` : "";
    const since = changedShare <= 1 ? "the codes were written" : `codes of ${count(rows)} were written`;
    return { action: "optimize", reason: `${count(changed)} rows${of} have changed since ${since}` };
  }
  if (hasOutgrown(rows * (1 - unfitted), rows)) {
    return { action: "optimize", reason: `${percent(unfitted)} of the rows came after the codes were fitted` };
  }
  return null;
}

/** Whether so many rows have a vector that codes on disk pay. */
export function* isWorthCodes({ definition, vector, table }: DriftInput): Steps<boolean> {
  const { rows } = identityOf(definition, table);
  const sql = `SELECT 1 FROM ${rows} WHERE r.${identifier(vector.column)} IS NOT NULL LIMIT 1 OFFSET ${CHANGES_MIN - 1}`;
  const found: Row[] = yield { type: "rows", sql, params: [] };
  return found.length > 0;
}
