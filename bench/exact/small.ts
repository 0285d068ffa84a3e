import { inArray } from "drizzle-orm";
import { dataSet, inFolder, openIndexed } from "../lib/data-set.ts";
import { nearest } from "../lib/library.ts";
import { median, searchTimes } from "../lib/measure.ts";
import { type Findings, ms } from "../lib/report.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

const ROWS = 1000;
const WIDEST = 3072;

/** Small tables: ready at once, and a query costs little more than reading its ten rows. */
export async function small({ seed, rounds }: Options): Promise<Findings> {
  const ready = await inFolder((folder) => {
    const set = dataSet({ kind: "like-minilm", rows: ROWS, dimensions: WIDEST, seed })!;
    const query = set.queries(1)[0]!;
    const start = performance.now();
    const { db, docs } = openIndexed(set, folder);
    nearest(db, docs.embedding, query, { limit: LIMIT }).all();
    const taken = performance.now() - start;
    db.$client.close();
    return taken;
  });
  const [query, select] = await inFolder(async (folder) => {
    const set = dataSet({ kind: "like-minilm", rows: ROWS, dimensions: DIMENSIONS, seed })!;
    const { db, docs } = openIndexed(set, folder);
    const search = (query: Float32Array) => {
      const hits = nearest(db, docs.embedding, query, { limit: LIMIT }).all();
      return hits.map(({ id }) => id);
    };
    const queries = set.queries(20);
    const found = new Map(queries.map((query) => [query, search(query)]));
    // Index and rows as a search would answer, the vectors left out as `nearest` leaves them out.
    const byKey = (query: Float32Array) => {
      const { id, title } = docs;
      const rows = db
        .select({ id, title })
        .from(docs)
        .where(inArray(docs.id, found.get(query)!))
        .all();
      return rows.map((row) => row.id);
    };
    const contenders = [
      { name: "nearest", search },
      { name: "select by key", search: byKey },
    ];
    const taken = await searchTimes(contenders, queries, rounds);
    db.$client.close();
    return contenders.map((contender) => median(taken.get(contender)!)) as [number, number];
  });
  return {
    title: "Small tables",
    rows: [
      {
        what: `${ROWS} x ${WIDEST}: open, index, first hits`,
        measured: ms(ready),
        target: "≤ 1 s",
        met: ready <= 1000,
      },
      {
        what: `${ROWS} x ${DIMENSIONS}: a query; a select of its ten rows by key`,
        measured: `${ms(query)}; ${ms(select)}`,
        target: "≤ select + 0.2 ms",
        met: query <= select + 0.2,
      },
    ],
  };
}
