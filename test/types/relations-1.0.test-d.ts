import { syncWithTables } from "#db";
import { type Equal, type Expect, typeOf } from "./expect.ts";

type Floats = Float32Array;

const nested = typeOf(() =>
  syncWithTables.query.docs
    .findMany({ columns: { id: true, embedding: true }, with: { parts: { columns: { part: true, v: true } } } })
    .sync(),
);

export type Nested = Expect<
  Equal<typeof nested, { id: number; embedding: Floats | null; parts: { part: number; v: Floats }[] }[]>
>;
