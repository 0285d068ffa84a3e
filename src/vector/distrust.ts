import type { Steps } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { processWide } from "../driver/process-wide.ts";
import { ChunkDamage } from "./chunk.ts";
import { Generations } from "./generation.ts";
import { columnKey, type StoredColumn } from "./indexed-column.ts";

/** Generations that a connection does not use any more, by column. */
const distrusted: WeakMap<object, Map<string, bigint>> = processWide("distrusted-1", () => new WeakMap());

/** Has the current generation of a column written anew: its chunks are sound, and yet its codes contradict the table. */
export function* distrust(connection: object, column: StoredColumn): Steps<void> {
  const head = yield* new Generations(column).head();
  if (!head?.base) return;
  getOrMake(distrusted, connection, () => new Map()).set(columnKey(column), head.generation);
}

/** @throws {ChunkDamage} when the connection does not use this generation any more */
export function checkTrust(connection: object, column: StoredColumn, generation: bigint): void {
  if (distrusted.get(connection)?.get(columnKey(column)) === generation) {
    throw new ChunkDamage("the codes on disk contradict the table");
  }
}
