import { and, eq, exists, gt, inArray, sql } from "drizzle-orm";
import { type NearestExplain, type NearestHit, nearest } from "drizzle-vector";
import { async, asyncWithTables, sync, syncWithTables } from "#db";
import { type Equal, type Expect, typeOf } from "./expect.ts";
import { type Doc, d, docs, parts } from "./schema.ts";

const query = new Float32Array(384);

// Hits where nothing is selected: typed where the database knows the table, unknown fields where it does not.
const typed = typeOf(() => nearest(syncWithTables, docs.embedding, query).all());
const typedAsync = typeOf(() => nearest(asyncWithTables, docs.embedding, query).all());
const untyped = typeOf(() => nearest(sync, docs.embedding, query).all());
const untypedAsync = typeOf(async () => await nearest(async, docs.embedding, query));
const composite = typeOf(() => nearest(syncWithTables, parts.v, [1, 2]).all());

type Hit = { [K in keyof (Doc & { $distance: number })]: (Doc & { $distance: number })[K] };

export type Defaults = [
  Expect<Equal<NearestHit<typeof syncWithTables, typeof docs.embedding>, Hit>>,
  Expect<Equal<typeof typed, Hit[]>>,
  Expect<Equal<typeof typedAsync, Promise<Hit[]>>>,
  Expect<Equal<(typeof untyped)[number]["$distance"], number>>,
  Expect<Equal<(typeof untyped)[number]["course"], unknown>>,
  Expect<Equal<typeof untypedAsync, Promise<typeof untyped>>>,
  Expect<Equal<(typeof composite)[number], { doc: string; part: number; note: string | null; $distance: number }>>,
];

// select decides what a hit has.
const selected = typeOf(() =>
  nearest(sync, docs.embedding, query, {
    select: {
      id: docs.id,
      when: docs.createdAt,
      vector: docs.embedding,
      required: docs.required,
      small: docs.small,
      loud: sql<string>`upper(${docs.title})`,
      length: sql<number>`length(${docs.title})`.as("length"),
      of: { kind: docs.kind, tags: docs.tags, deep: { raw: docs.raw } },
    },
  }).all(),
);

export type SelectedHits = Expect<
  Equal<
    typeof selected,
    {
      id: number;
      when: Date | null;
      vector: Float32Array | null;
      required: Float32Array;
      small: number[] | null;
      loud: string;
      length: number;
      of: { kind: "faq" | "lesson"; tags: string[] | null; deep: { raw: Buffer | null } };
      $distance: number;
    }[]
  >
>;

// Sync drivers answer at once, the others with promises; awaited, all are the same.
const select = { id: docs.id };
type IdHit = { id: number; $distance: number };
const onSync = nearest(sync, docs.embedding, query, { select });
const onAsync = nearest(async, docs.embedding, query, { select });
const kinds = {
  syncAll: typeOf(() => onSync.all()),
  syncGet: typeOf(() => onSync.get()),
  syncExplain: typeOf(() => onSync.explain()),
  syncPrepared: typeOf(() => onSync.prepare().all({ q: query })),
  syncAwaited: typeOf(async () => await onSync),
  syncExecuted: typeOf(() => onSync.prepare().execute()),
  asyncAll: typeOf(() => onAsync.all()),
  asyncGet: typeOf(() => onAsync.get()),
  asyncExplain: typeOf(() => onAsync.explain()),
  asyncPrepared: typeOf(() => onAsync.prepare().get()),
  asyncAwaited: typeOf(async () => await onAsync),
};

export type Kinds = [
  Expect<Equal<typeof kinds.syncAll, IdHit[]>>,
  Expect<Equal<typeof kinds.syncGet, IdHit | undefined>>,
  Expect<Equal<typeof kinds.syncExplain, NearestExplain>>,
  Expect<Equal<typeof kinds.syncPrepared, IdHit[]>>,
  Expect<Equal<typeof kinds.syncAwaited, Promise<IdHit[]>>>,
  Expect<Equal<typeof kinds.syncExecuted, Promise<IdHit[]>>>,
  Expect<Equal<typeof kinds.asyncAll, Promise<IdHit[]>>>,
  Expect<Equal<typeof kinds.asyncGet, Promise<IdHit | undefined>>>,
  Expect<Equal<typeof kinds.asyncExplain, Promise<NearestExplain>>>,
  Expect<Equal<typeof kinds.asyncPrepared, Promise<IdHit | undefined>>>,
  Expect<Equal<typeof kinds.asyncAwaited, Promise<IdHit[]>>>,
];

// A transaction is a database.
const inSync = typeOf(() => sync.transaction((tx) => nearest(tx, docs.embedding, query, { select }).all()));
const inSyncTyped = typeOf(() => syncWithTables.transaction((tx) => nearest(tx, docs.embedding, query).all()));
const inAsync = typeOf(() => async.transaction((tx) => nearest(tx, docs.embedding, query, { select }).all()));
const inAsyncTyped = typeOf(() =>
  asyncWithTables.transaction(async (tx) => await nearest(tx, docs.embedding, query).get()),
);

export type Transactions = [
  Expect<Equal<typeof inSync, IdHit[]>>,
  Expect<Equal<typeof inSyncTyped, Hit[]>>,
  Expect<Equal<typeof inAsync, Promise<IdHit[]>>>,
  Expect<Equal<typeof inAsyncTyped, Promise<Hit | undefined>>>,
];

// Frozen hits join in any select; a left join makes their columns nullable.
const joined = typeOf(() => {
  const hits = nearest(syncWithTables, docs.embedding, query).as("hits");
  return {
    inner: syncWithTables
      .select({ id: hits.id, rank: hits.rank, distance: hits.distance, title: docs.title })
      .from(docs)
      .innerJoin(hits, eq(hits.id, docs.id))
      .orderBy(hits.rank)
      .all(),
    left: syncWithTables
      .select({ course: docs.course, id: hits.id, rank: hits.rank, distance: hits.distance })
      .from(docs)
      .leftJoin(hits, eq(hits.id, docs.id))
      .where(gt(hits.distance, 0.5))
      .all(),
    own: syncWithTables.select().from(hits).all(),
  };
});
const ownHits = typeOf(() => {
  const hits = nearest(sync, docs.embedding, query, { select: { id: docs.id, title: docs.title } }).as("hits");
  return sync.select().from(hits).all();
});
const compositeHits = typeOf(() => {
  const hits = nearest(syncWithTables, parts.v, [1, 2]).as("hits");
  return syncWithTables
    .select({ rank: hits.rank, note: parts.note })
    .from(parts)
    .innerJoin(hits, and(eq(hits.doc, parts.doc), eq(hits.part, parts.part)))
    .all();
});
const asyncHits = typeOf(async () => {
  const hits = await nearest(asyncWithTables, docs.embedding, query).as("near");
  return asyncWithTables
    .select({ distance: hits.distance, id: docs.id })
    .from(docs)
    .leftJoin(hits, eq(hits.id, docs.id));
});

export type Joined = [
  Expect<Equal<typeof joined.inner, { id: number; rank: number; distance: number; title: string | null }[]>>,
  Expect<
    Equal<typeof joined.left, { course: string; id: number | null; rank: number | null; distance: number | null }[]>
  >,
  Expect<Equal<typeof joined.own, { id: number; rank: number; distance: number }[]>>,
  Expect<Equal<typeof ownHits, { id: number; rank: number; distance: number }[]>>,
  Expect<Equal<typeof compositeHits, { rank: number; note: string | null }[]>>,
  Expect<Equal<typeof asyncHits, Promise<{ distance: number | null; id: number }[]>>>,
];

// Aliases, conditions on other tables, placeholders, every form of a query.
nearest(sync, d.embedding, query, { select: { id: d.id }, where: eq(d.course, "ml") });
nearest(sync, docs.embedding, query, {
  where: and(
    inArray(docs.course, sync.select({ doc: parts.doc }).from(parts)),
    exists(sync.select().from(parts).where(eq(parts.doc, docs.course))),
  ),
});
nearest(sync, docs.embedding, sql.placeholder("q"), {
  where: undefined,
  limit: 5,
  offset: 5,
  maxDistance: 1,
  recall: 1,
});
nearest(sync, docs.embedding, [1, 2, 3] as readonly number[], { metric: "cosine" });
nearest(sync, docs.embedding, new Float64Array(384), { metric: "l2" });
nearest(sync, docs.half, query, { metric: "dot" });
nearest(sync, docs.small, new Int8Array(384), { metric: "dot" });
nearest(sync, docs.bits, new Uint8Array(48), { metric: "hamming" });
nearest(sync, docs.bits, [0, 1]);

// A helper over any vector column and database keeps its types.
export function five(course: string) {
  return nearest(sync, docs.embedding, query, { where: eq(docs.course, course), limit: 5, select: { id: docs.id } });
}
export type Five = Expect<Equal<Awaited<ReturnType<typeof five>>, IdHit[]>>;

// @ts-expect-error: a column of another table
nearest(sync, docs.embedding, query, { select: { doc: parts.doc } });
// @ts-expect-error: a column of another table, nested
nearest(sync, docs.embedding, query, { select: { of: { doc: parts.doc } } });
// @ts-expect-error: a column of the table in place of its alias
nearest(sync, d.embedding, query, { select: { id: docs.id } });
// @ts-expect-error: a field that is no column
nearest(sync, docs.embedding, query, { select: { id: "id" } });
// @ts-expect-error: no vector column
nearest(sync, docs.title, query);
// @ts-expect-error: a blob is no vector column
nearest(sync, docs.raw, query);
// @ts-expect-error: a table is no column
nearest(sync, docs, query);
// @ts-expect-error: float32 has no hamming distance
nearest(sync, docs.embedding, query, { metric: "hamming" });
// @ts-expect-error: bit has no cosine distance
nearest(sync, docs.bits, new Uint8Array(48), { metric: "cosine" });
// @ts-expect-error: a metric that does not exist
nearest(sync, docs.embedding, query, { metric: "manhattan" });
// @ts-expect-error: an option that does not exist
nearest(sync, docs.embedding, query, { top: 5 });
// @ts-expect-error: a limit is a number
nearest(sync, docs.embedding, query, { limit: "5" });
// @ts-expect-error: a condition is an SQL expression
nearest(sync, docs.embedding, query, { where: "id = 1" });
// @ts-expect-error: a query is no text
nearest(sync, docs.embedding, "hello");
// @ts-expect-error: packed bits are no query for float32
nearest(sync, docs.embedding, new Uint8Array(48));
// @ts-expect-error: floats are no query for bits
nearest(sync, docs.bits, new Float32Array(384));
// @ts-expect-error: no database
nearest({}, docs.embedding, query);
// @ts-expect-error: a name is a text
onSync.as(5);
// @ts-expect-error: a sync driver gives no promise
onSync.all().then;
// @ts-expect-error: an async driver gives no array
onAsync.all().length;
// @ts-expect-error: a key that the table does not have
typeOf(() => nearest(syncWithTables, docs.embedding, query).as("hits").uuid);
// @ts-expect-error: title is no key
typeOf(() => nearest(syncWithTables, docs.embedding, query).as("hits").title);
// @ts-expect-error: a field that was not selected
typeOf(() => onSync.all()[0]?.title);
