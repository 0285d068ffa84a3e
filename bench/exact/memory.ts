import { runFresh } from "../lib/child.ts";
import { dataSet, inFolder, openIndexed } from "../lib/data-set.ts";
import { canPersist, nearest, optimize } from "../lib/library.ts";
import { median } from "../lib/measure.ts";
import type { Finding, Findings } from "../lib/report.ts";
import { DIMENSIONS, type Options } from "./options.ts";
import type { ResidentInput } from "./resident.ts";

const TARGET = 0.32;
const PROCESSES = 3;
/** Bytes of all pages of our tables and their indexes. */
const AT_REST = `SELECT coalesce(sum(pgsize), 0) FROM dbstat
  WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name LIKE '\\_dv\\_%' ESCAPE '\\')`;

/** Memory of a process that answers from the index, and bytes of our tables at rest, as shares of the float32 bytes. */
export async function memory({ seed, rows, kinds }: Options): Promise<Findings> {
  const findings: Finding[] = [];
  for (const kind of kinds) {
    const set = dataSet({ kind, rows, dimensions: DIMENSIONS, seed });
    if (!set) continue;
    await inFolder(async (folder) => {
      const { db, docs, docsSearch, file } = openIndexed(set, folder);
      await optimize(db, docsSearch);
      nearest(db, docs.embedding, set.queries(1)[0]!, { limit: 10 }).all();
      db.$client.pragma("wal_checkpoint(TRUNCATE)");
      const atRest = bytesAtRest(db.$client);
      db.$client.close();
      const queries = set.queries(20).map((query) => Array.from(query));
      const share = (bytes: number) => bytes / set.floatBytes;
      const told = (value: number) => ({
        measured: `${value.toFixed(3)}x`,
        target: `≤ ${TARGET}x`,
        met: value <= TARGET,
      });
      const residents = [true, false].map((isWarm) => {
        const { dimensions, metric } = set;
        const input: ResidentInput = { file, dimensions, metric, queries, isWarm };
        return median(Array.from({ length: PROCESSES }, () => share(runFresh<number>("exact/resident.ts", input))));
      }) as [number, number];
      findings.push(
        { what: `${set.name}: resident after gc, in a process that has scanned the table`, ...told(residents[0]) },
        {
          what: "… in a process that has only opened the file and read ten rows",
          ...told(residents[1]),
        },
        canPersist
          ? { what: "… bytes at rest", ...told(share(atRest)) }
          : { what: "… bytes at rest", measured: `${share(atRest).toFixed(3)}x, but codes are not persisted` },
      );
    });
  }
  return { title: "Memory and bytes at rest, of the float32 bytes", rows: findings };
}

export function bytesAtRest(client: import("better-sqlite3").Database): number {
  return client.prepare(AT_REST).pluck().get() as number;
}
