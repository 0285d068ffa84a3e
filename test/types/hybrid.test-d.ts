import { sql } from "drizzle-orm";
import {
  type HybridExplain,
  type HybridHit,
  hybrid,
  linear,
  rrf,
  type SearchHit,
  search,
  shares,
  type TextStanding,
  type VectorStanding,
} from "drizzle-vector";
import { searchIndex } from "drizzle-vector/schema";
import { async, sync } from "#db";
import { type Equal, type Expect, typeOf } from "./expect.ts";
import { docs, parts } from "./schema.ts";

const one = searchIndex("one", parts, { text: { note: 1 }, vectors: { v: {} } });
const two = searchIndex("two", docs, { text: { course: 1, title: 2 }, vectors: { embedding: {}, bits: {} } });

const words = searchIndex("words", docs, { text: { title: 1 } });
const meanings = searchIndex("meanings", parts, { vectors: { v: {} } });

// Hits carry what each leg says of them; by column where the vectors were given so.
const both = typeOf(() => hybrid(sync, one, { text: "x", vector: [1, 2] }).all());
const inOrder = typeOf(() => hybrid(async, one, { text: "x" }, { select: { d: parts.doc } }).all());
const byName = typeOf(() =>
  hybrid(sync, two, { text: "x", vector: { bits: new Uint8Array(48) } }, { select: { id: docs.id } }).get(),
);
const prepared = typeOf(() => hybrid(sync, one, { text: sql.placeholder("t"), vector: sql.placeholder("v") }).all());
const explained = typeOf(() => hybrid(sync, one, { text: "x" }).explain());

type Legs = { $score: number; $text: TextStanding | null; $vector: VectorStanding | null };
type Part = { doc: string; part: number; note: string | null };

const found = typeOf(() => search(sync, one, "x").all());

export type Hits = [
  Expect<Equal<typeof found, SearchHit<typeof parts>[]>>,
  Expect<Equal<typeof both, HybridHit<typeof parts>[]>>,
  Expect<Equal<typeof both, { [K in keyof (Part & Legs)]: (Part & Legs)[K] }[]>>,
  Expect<Equal<typeof inOrder, Promise<{ [K in keyof ({ d: string } & Legs)]: ({ d: string } & Legs)[K] }[]>>>,
  Expect<Equal<NonNullable<typeof byName>["$vector"], { bits: VectorStanding | null }>>,
  Expect<Equal<(typeof prepared)[number]["$vector"], VectorStanding | null>>,
  Expect<Equal<typeof explained, HybridExplain>>,
];

// Highlights have the columns asked for, by default all of the index.
const marked = typeOf(() => search(sync, two, "x", { highlight: { columns: ["title"] } }).get());
const allMarked = typeOf(() => hybrid(sync, two, { text: "x" }, { highlight: { html: true } }).get());
const plain = typeOf(() => search(sync, two, "x", { weights: { title: 0 } }).get());

export type Highlights = [
  Expect<Equal<NonNullable<typeof marked>["$highlights"], { title: string | null }>>,
  Expect<Equal<NonNullable<typeof allMarked>["$highlights"], { course: string | null; title: string | null }>>,
  Expect<Equal<"$highlights" extends keyof NonNullable<typeof plain> ? true : false, false>>,
];

// What does not exist is refused.
typeOf(() => [
  // @ts-expect-error a weight of a column the index has not
  search(sync, two, "x", { weights: { kind: 1 } }),
  // @ts-expect-error a highlight of a column the index has not
  search(sync, two, "x", { highlight: { columns: ["kind"] } }),
  // @ts-expect-error several vector columns need names
  hybrid(sync, two, { vector: [1, 2] }),
  // @ts-expect-error a vector column of another index
  hybrid(sync, two, { vector: { half: [1] } }),
  // @ts-expect-error bits are packed bytes
  hybrid(sync, two, { vector: { bits: new Float32Array(384) } }),
  // @ts-expect-error a fusion by name
  hybrid(sync, one, { text: "x" }, { fusion: "rrf" }),
  // @ts-expect-error a way to normalise that does not exist
  linear({ normalize: "max" }),
]);
// An index is asked for what it has.
typeOf(() => [
  // @ts-expect-error a vector on an index without vectors
  hybrid(sync, words, { text: "x", vector: [1, 2] }),
  // @ts-expect-error a vector by name on an index without vectors
  hybrid(sync, words, { vector: { embedding: [1] } }),
  // @ts-expect-error a placeholder for a vector on an index without vectors
  hybrid(sync, words, { vector: sql.placeholder("v") }),
  // @ts-expect-error a text on an index without text
  hybrid(sync, meanings, { text: "x" }),
  // @ts-expect-error a text beside the vector on an index without text
  hybrid(async, meanings, { text: sql.placeholder("t"), vector: [1, 2] }),
  // @ts-expect-error search on an index without text
  search(sync, meanings, "x"),
]);
typeOf(() => [
  hybrid(sync, words, { text: "x" }),
  hybrid(sync, words, { text: sql.placeholder("t"), vector: undefined }, { weights: { title: 2 } }),
  hybrid(async, meanings, { vector: [1, 2] }),
  hybrid(sync, meanings, { text: undefined, vector: { v: sql.placeholder("v") } }),
]);
typeOf(() => [
  hybrid(sync, one, { text: "x" }, { fusion: linear({ weights: { text: 1, vector: 1 }, normalize: "dbsf" }) }),
  hybrid(sync, one, { text: "x" }, { fusion: rrf({ rankConstant: 10 }), match: "all", prefix: true }),
  hybrid(sync, two, { text: "x" }, { fusion: shares({ weights: { text: 1, embedding: 2, bits: 1 } }), depth: 50 }),
]);
