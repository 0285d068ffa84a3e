import { gt, lt, type SQL, sql } from "drizzle-orm";
import { configure, distance, registerFunctions } from "drizzle-vector";
import { async, sync, syncWithTables } from "#db";
import { type Equal, type Expect, typeOf } from "./expect.ts";
import { d, docs } from "./schema.ts";

const query = new Float32Array(384);

const nullable = distance(docs.embedding, query);
const required = distance(docs.required, query, "l2");
const ofAlias = distance(d.bits, [0, 1], "hamming");

export type Distances = [
  Expect<Equal<typeof nullable, SQL<number | null>>>,
  Expect<Equal<typeof required, SQL<number>>>,
  Expect<Equal<typeof ofAlias, SQL<number | null>>>,
];

const rows = typeOf(() =>
  sync
    .select({ id: docs.id, d: nullable, r: required, named: distance(docs.half, sql.placeholder("q")).as("d") })
    .from(docs)
    .where(lt(nullable, 0.5))
    .having(gt(required, 1))
    .orderBy(nullable)
    .all(),
);
export type Rows = Expect<Equal<typeof rows, { id: number; d: number | null; r: number; named: number | null }[]>>;

registerFunctions(sync);
registerFunctions(syncWithTables);
configure(async, { onEvent: (event) => event.message });

// @ts-expect-error: bit has no cosine distance
distance(docs.bits, [0, 1], "cosine");
// @ts-expect-error: float32 has no hamming distance
distance(docs.embedding, query, "hamming");
// @ts-expect-error: no vector column
distance(docs.id, query);
// @ts-expect-error: a query is no text
distance(docs.embedding, "hello");
// @ts-expect-error: an option that does not exist
configure(sync, { onEvents: () => {} });
