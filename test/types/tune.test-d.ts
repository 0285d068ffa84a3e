import { searchIndex, storeRecall, type TuneReport, tune } from "drizzle-vector";
import { async, sync } from "#db";
import { type Equal, type Expect, typeOf } from "./expect.ts";
import { docs } from "./schema.ts";

const index = searchIndex("docs_search", docs, { vectors: { embedding: {}, required: {} } });

// Always a promise: it takes its time.
const report = typeOf(() => tune(sync, index, { column: "embedding", queries: 50, store: true }));
const given = typeOf(() => tune(async, "docs_search", { column: "any", queries: [[1, 2], new Float32Array(2)] }));

// What is stored is one statement: at once on a synchronous driver.
const stored = typeOf(() => storeRecall(sync, index, 0.9, { column: "required" }));
const storedAsync = typeOf(() => storeRecall(async, index, null));

export type Results = [
  Expect<Equal<typeof report, Promise<TuneReport>>>,
  Expect<Equal<typeof given, Promise<TuneReport>>>,
  Expect<Equal<typeof stored, void>>,
  Expect<Equal<typeof storedAsync, Promise<void>>>,
];

// @ts-expect-error the index has no such vector column
typeOf(() => tune(sync, index, { column: "title" }));
// @ts-expect-error nor can a recall be stored for it
typeOf(() => storeRecall(sync, index, 0.9, { column: "title" }));
// @ts-expect-error a misspelt option
typeOf(() => tune(sync, index, { colunm: "embedding" }));
