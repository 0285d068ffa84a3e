import { eq, type InferInsertModel, type InferSelectModel, sql } from "drizzle-orm";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { decodeHexVector, hexVector, vectorColumn } from "drizzle-vector/schema";
import type { Equal, Expect } from "./expect.ts";
import { docs, type parts } from "./schema.ts";

const all = sqliteTable("all", {
  id: integer().primaryKey(),
  plain: vectorColumn(8),
  named: vectorColumn("named_v", 8).notNull(),
  float32: vectorColumn({ dimensions: 8, element: "float32", mode: "typed" }),
  float32Array: vectorColumn({ dimensions: 8, mode: "array" }).notNull(),
  float16: vectorColumn("float16", { dimensions: 8, element: "float16" }).notNull(),
  float16Array: vectorColumn("float16_array", { dimensions: 8, element: "float16", mode: "array" }),
  int8: vectorColumn({ dimensions: 8, element: "int8" }).notNull(),
  int8Array: vectorColumn({ dimensions: 8, element: "int8", mode: "array" }),
  bit: vectorColumn({ dimensions: 8, element: "bit" }).notNull(),
  bitArray: vectorColumn({ dimensions: 8, element: "bit", mode: "array" }),
  made: vectorColumn(8)
    .notNull()
    .$defaultFn(() => new Float32Array(8)),
  branded: vectorColumn({ dimensions: 2, mode: "array" }).notNull().$type<[number, number]>(),
  written: vectorColumn(2).notNull().default(sql`(x'0000803f00000000')`),
});

type Floats = Float32Array;

export type Reads = Expect<
  Equal<
    typeof all.$inferSelect,
    {
      id: number;
      plain: Floats | null;
      named: Floats;
      float32: Floats | null;
      float32Array: number[];
      float16: Floats;
      float16Array: number[] | null;
      int8: Int8Array;
      int8Array: number[] | null;
      bit: Uint8Array;
      bitArray: number[] | null;
      made: Floats;
      branded: [number, number];
      written: Floats;
    }
  >
>;

export type Writes = Expect<
  Equal<
    typeof all.$inferInsert,
    {
      id?: number | undefined;
      plain?: Floats | null | undefined;
      named: Floats;
      float32?: Floats | null | undefined;
      float32Array: number[];
      float16: Floats;
      float16Array?: number[] | null | undefined;
      int8: Int8Array;
      int8Array?: number[] | null | undefined;
      bit: Uint8Array;
      bitArray?: number[] | null | undefined;
      made?: Floats | undefined;
      branded: [number, number];
      written?: Floats | undefined;
    }
  >
>;

export type Models = [
  Expect<Equal<InferSelectModel<typeof parts>, { doc: string; part: number; note: string | null; v: Floats }>>,
  Expect<
    Equal<InferInsertModel<typeof parts>, { doc: string; part: number; note?: string | null | undefined; v: Floats }>
  >,
];

// A column knows its table by name: that is how another table's columns are told apart.
export const table: "docs" = docs.embedding._.tableName;

// A vector is compared with a vector.
eq(docs.embedding, new Float32Array(384));
eq(docs.small, [1, 2, 3]);
// @ts-expect-error: a column of mode typed reads Float32Array
eq(docs.embedding, "[1,2,3]");

// @ts-expect-error: an element that does not exist
vectorColumn({ dimensions: 8, element: "float64" });
// @ts-expect-error: a mode that does not exist
vectorColumn({ dimensions: 8, mode: "json" });
// @ts-expect-error: an option that does not exist
vectorColumn({ dimensions: 8, elements: "bit" });
// @ts-expect-error: dimensions are needed
vectorColumn({ element: "bit" });
// @ts-expect-error: dimensions are needed
vectorColumn("v");
// @ts-expect-error: dimensions are needed
vectorColumn();
// @ts-expect-error: dimensions are a number
vectorColumn("v", "384");
// @ts-expect-error: an Int8Array for float32
vectorColumn(8).$defaultFn(() => new Int8Array(8));

export const hex = hexVector(docs.embedding).as("hex");
const decoded = decodeHexVector(docs.embedding, "");
const decodedArray = decodeHexVector(docs.small, null);
export type Decoded = [
  Expect<Equal<typeof decoded, Floats | null>>,
  Expect<Equal<typeof decodedArray, number[] | null>>,
];
// @ts-expect-error: no vector column
hexVector(docs.title);
// @ts-expect-error: no vector column
decodeHexVector(docs.id, "00");
