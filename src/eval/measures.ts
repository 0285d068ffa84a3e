/** What a document is called: the type of your keys. */
export type DocumentId = string | number;

/** For one query, how relevant each judged document is: 0 not at all, more is better. Documents not named count as 0. */
export type Judgements = ReadonlyMap<DocumentId, number>;

/**
 * Share of the relevant documents among the first `k` results.
 *
 * @param results - document ids, best first; repeated ones count once
 * @param k - a whole number from 1 up
 * @returns 0..1; NaN where nothing is relevant, as there is no share of nothing
 * @see Manning, Raghavan, Schütze, "Introduction to Information Retrieval", 2008, section 8.3
 */
export function recallAt(k: number, results: readonly DocumentId[], judgements: Judgements): number {
  const relevant = [...judgements.values()].filter((grade) => grade > 0).length;
  return firstRelevant(k, results, judgements).length / relevant;
}

/**
 * Discounted cumulative gain of the first `k` results over that of the best possible order: a document of grade g at rank i
 * gains g / log2(i + 1).
 *
 * @param results - document ids, best first; a repeated one gains nothing the second time
 * @returns 0..1; NaN where nothing is relevant
 * @see Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002, section 2.2, with the discount
 * log2(i + 1) and linear gains that trec_eval uses
 */
export function ndcgAt(k: number, results: readonly DocumentId[], judgements: Judgements): number {
  const ideal = [...judgements.values()].sort((a, b) => b - a);
  return gainOf(k, gradesOf(results, judgements)) / gainOf(k, ideal);
}

/**
 * One over the rank of the first relevant document among the first `k` results; 0 where there is none. Its mean over queries
 * is the MRR.
 *
 * @see Voorhees, "The TREC-8 Question Answering Track Report", 1999
 */
export function reciprocalRankAt(k: number, results: readonly DocumentId[], judgements: Judgements): number {
  const index = gradesOf(results, judgements)
    .slice(0, k)
    .findIndex((grade) => grade > 0);
  return index < 0 ? 0 : 1 / (index + 1);
}

/** 1 where a relevant document is among the first `k` results, else 0. Its mean over queries is the hit rate. */
export function hitAt(k: number, results: readonly DocumentId[], judgements: Judgements): number {
  return firstRelevant(k, results, judgements).length > 0 ? 1 : 0;
}

function firstRelevant(k: number, results: readonly DocumentId[], judgements: Judgements): number[] {
  return gradesOf(results, judgements)
    .slice(0, k)
    .filter((grade) => grade > 0);
}

/** The grade at each rank; a document that comes again is worth nothing there. */
function gradesOf(results: readonly DocumentId[], judgements: Judgements): number[] {
  const seen = new Set<DocumentId>();
  return results.map((id) => {
    const grade = seen.has(id) ? 0 : (judgements.get(id) ?? 0);
    seen.add(id);
    return grade;
  });
}

function gainOf(k: number, grades: readonly number[]): number {
  return grades.slice(0, k).reduce((sum, grade, i) => sum + Math.max(0, grade) / Math.log2(i + 2), 0);
}
