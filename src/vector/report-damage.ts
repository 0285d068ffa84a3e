import { report, reportOnce } from "../driver/events.ts";
import type { ChunkDamage } from "./chunk.ts";
import type { IndexedColumn } from "./indexed-column.ts";

/** Tells of stored bytes that are not what they should be, once. */
export function reportDamage(
  connection: object,
  { definition, column }: IndexedColumn,
  damage: ChunkDamage,
  send = report,
): void {
  const event = {
    code: "CORRUPTION",
    index: definition.name,
    message: `index ${definition.name}, column ${column}: ${damage.message}; the table is read instead`,
    hint: damage.isNewer ? "Update drizzle-vector here, or keep older versions away from this database." : damage.hint,
  } as const;
  reportOnce(connection, event, send);
}
