import { decodeHexVector, hexVector } from "drizzle-vector/schema";
import { syncWithTables } from "#db";
import { type Equal, type Expect, typeOf } from "./expect.ts";
import { docs, parts } from "./schema.ts";

type Floats = Float32Array;

const nested = typeOf(() =>
  syncWithTables.query.docs
    .findMany({
      columns: { id: true, embedding: true },
      with: {
        parts: { columns: { part: true }, extras: (part) => ({ v: hexVector(part.v).as("v_hex") }) },
      },
    })
    .sync(),
);
const decoded = typeOf(() => decodeHexVector(parts.v, nested[0]!.parts[0]!.v));

export type Nested = [
  Expect<Equal<typeof nested, { id: number; embedding: Floats | null; parts: { part: number; v: string }[] }[]>>,
  Expect<Equal<typeof decoded, Floats | null>>,
];

export const extra = hexVector(docs.small).as("small_hex");
