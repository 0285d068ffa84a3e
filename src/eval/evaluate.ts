import { describe } from "../codec/codec.ts";
import { InvalidOptionError } from "../errors.ts";
import { knownOptions } from "../query/options.ts";
import { type DocumentId, hitAt, type Judgements, ndcgAt, recallAt, reciprocalRankAt } from "./measures.ts";

/**
 * Relevance judgements of many queries: query id to document id to grade, as Maps or plain objects. A plain object can only
 * name documents by text; there, a key of 7 and one of "7" are the same.
 */
export type Qrels = ReadonlyMap<DocumentId, Judgements> | Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface EvaluateOptions {
  /** The `k` of recall, nDCG, MRR and hit rate; whole numbers from 1 up. Default 10. */
  k?: number | readonly number[];
}

/** The measures of one query, or their means: `recall@10`, `ndcg@10`, `mrr@10`, `hitRate@10`. */
export type Measures = Record<string, number>;

export interface Evaluation {
  /** Queries that were run and have a relevant document. */
  queries: number;
  /** The mean of each measure over those queries. */
  mean: Measures;
  /** One row a query, in their order: `console.table` shows it. */
  rows: ({ query: DocumentId } & Measures)[];
}

/**
 * Runs every query that has a relevant document and measures what comes back. Queries without one are left out: they cannot
 * tell good from bad.
 *
 * @param queries - your queries, each with an `id`
 * @param run - searches for one query: document ids, best first, at least the largest `k` of them
 * @param qrels - which documents are relevant to which query
 * @throws {InvalidOptionError} when no query has a relevant document, a grade is no number, `run` gives no ids or only such as
 * no judgement could name, or `k` is no whole number from 1 up
 * @example
 * const { mean } = await evaluate(questions, async ({ text }) => {
 *   const hits = await search(db, docsSearch, text, { limit: 10 });
 *   return hits.map(({ id }) => id);
 * }, qrels);
 */
export async function evaluate<TQuery extends { readonly id: DocumentId }>(
  queries: Iterable<TQuery>,
  run: (query: TQuery) => readonly DocumentId[] | Promise<readonly DocumentId[]>,
  qrels: Qrels,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const cutoffs = cutoffsOf(options);
  const rows: Evaluation["rows"] = [];
  const types = { judged: new Set<string>(), found: new Set<string>() };
  for (const query of queries) {
    const judgements = judgementsOf(query.id, qrels);
    if (![...judgements.values()].some((grade) => grade > 0)) continue;
    const results = idsOf(await run(query));
    const named = isMap(qrels) ? results : results.map(String);
    for (const document of judgements.keys()) types.judged.add(typeof document);
    for (const document of named) types.found.add(typeof document);
    rows.push({ query: query.id, ...measuresOf(cutoffs, named, judgements) } as Evaluation["rows"][number]);
  }
  if (rows.length === 0) {
    throw new InvalidOptionError({
      subject: "qrels",
      expected: "a relevant document for at least one of the queries",
      got: "none",
      hint: 'Compare the ids of the queries with those in the judgements: 7 and "7" are different keys of a Map.',
    });
  }
  checkTypes(types);
  const names = Object.keys(rows[0]!).filter((name) => name !== "query");
  const mean = Object.fromEntries(
    names.map((name) => [name, rows.reduce((sum, row) => sum + (row[name] as number), 0) / rows.length]),
  );
  return { queries: rows.length, mean, rows };
}

const NAMING = { subject: "options", expected: "an object such as { k: 5 }", member: "an option of evaluate" };

/** The `k` asked for. A misspelt option would leave its default without a word. */
function cutoffsOf(options: unknown): readonly number[] {
  const { k = 10 }: { k?: unknown } = knownOptions<EvaluateOptions>(options, NAMING, ["k"]);
  const cutoffs: unknown[] = Array.isArray(k) ? k : [k];
  const wrong = cutoffs.findIndex((cutoff) => !(Number.isInteger(cutoff) && (cutoff as number) > 0));
  if (cutoffs.length > 0 && wrong < 0) return cutoffs as number[];
  const got = cutoffs.length === 0 ? "none" : describe(cutoffs[wrong]);
  throw new InvalidOptionError({ subject: "k", expected: "whole numbers from 1 up", got });
}

/** Of ids that are all numbers none is among judged ids that are all texts: every measure would be 0. */
function checkTypes({ judged, found }: Record<"judged" | "found", ReadonlySet<string>>): void {
  if (found.size === 0 || [...found].some((type) => judged.has(type))) return;
  const nameOf = (types: ReadonlySet<string>) => (types.has("string") ? "texts" : "numbers");
  throw new InvalidOptionError({
    subject: "run",
    expected: `document ids as they are judged: ${nameOf(judged)}`,
    got: nameOf(found),
    hint: '7 and "7" are different keys of a Map: give both as one or the other.',
  });
}

/** Hits in the place of their ids would be found in no judgement, and every measure be 0. */
function idsOf(results: unknown): readonly DocumentId[] {
  const strangers = Array.isArray(results)
    ? results.filter((id) => typeof id !== "string" && typeof id !== "number")
    : [results];
  if (strangers.length === 0) return results as readonly DocumentId[];
  throw new InvalidOptionError({
    subject: "run",
    expected: Array.isArray(results) ? "document ids, each a text or a number" : "an array of document ids",
    got: describe(strangers[0]),
    hint: "Give the keys of what was found: hits.map(({ id }) => id).",
  });
}

function measuresOf(cutoffs: readonly number[], results: readonly DocumentId[], judgements: Judgements): Measures {
  return Object.fromEntries(
    cutoffs.flatMap((k) => [
      [`recall@${k}`, recallAt(k, results, judgements)],
      [`ndcg@${k}`, ndcgAt(k, results, judgements)],
      [`mrr@${k}`, reciprocalRankAt(k, results, judgements)],
      [`hitRate@${k}`, hitAt(k, results, judgements)],
    ]),
  );
}

/** Judgements in another shape than that of all would name no document, and a grade that is none make measures of NaN. */
function judgementsOf(id: DocumentId, qrels: Qrels): Judgements {
  const own: unknown = isMap(qrels) ? qrels.get(id) : Object.hasOwn(Object(qrels), id) ? qrels[id] : undefined;
  if (own === undefined) return new Map();
  if (typeof own !== "object" || own === null || own instanceof Map !== isMap(qrels)) {
    throw new InvalidOptionError({
      subject: `qrels of ${id}`,
      expected: isMap(qrels) ? "a Map from documents to grades, as qrels is one" : "an object of grades by document",
      got: describe(own),
    });
  }
  const judgements: Judgements = own instanceof Map ? own : new Map(Object.entries(own));
  for (const [document, grade] of judgements) {
    if (Number.isFinite(grade)) continue;
    const subject = `qrels of ${id}, ${document}`;
    throw new InvalidOptionError({ subject, expected: "a grade that is a finite number", got: describe(grade) });
  }
  return judgements;
}

function isMap(qrels: Qrels): qrels is ReadonlyMap<DocumentId, Judgements> {
  return qrels instanceof Map;
}
