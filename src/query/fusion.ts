import { describe } from "../codec/codec.ts";
import { InvalidOptionError } from "../errors.ts";
import { isSmuggled, knownOptions } from "./options.ts";

/** What one leg of a hybrid search says of every candidate. */
export interface Leg {
  /** `text`, or the vector column's key in the schema. */
  readonly name: string;
  readonly kind: "text" | "vector";
  /** Larger is better; NaN where the leg cannot score a candidate. */
  readonly scores: Float64Array;
  /** From 1; 0 where a candidate was not among the first of this leg, and is scored only. */
  readonly ranks: Int32Array;
}

/** How much each leg counts: `text`, `vector` (shared by all vector columns), or a vector column by its name. */
export type Weights = { readonly [leg: string]: number };

/** With these no sum of parts is too large for a number. */
const WEIGHT_MAX = 1e9;

/** A way to make one order of two or more. */
export interface Fusion {
  readonly name: string;
  readonly weights: Weights;
  /** What each leg adds to the score of each candidate; a candidate's score is the sum. */
  readonly parts: (legs: readonly Leg[], weightOf: (leg: Leg) => number) => Float64Array[];
}

export interface LinearOptions {
  /** Default `{ text: 0.7, vector: 0.3 }`. */
  weights?: Weights;
  /** Default `minmax`. */
  normalize?: "minmax" | "zscore" | "dbsf";
}

/**
 * A weighted sum of the legs' scores, made comparable first over the candidates each leg found: `minmax` puts them into 0..1,
 * `zscore` counts standard deviations from their mean, `dbsf` puts mean ± 3 standard deviations at 0 and 1. A candidate the
 * leg cannot score counts as its worst (`zscore`) or as 0.
 *
 * @throws {InvalidOptionError} for weights that are all 0 or not within 0..1e9, and for an unknown `normalize`
 * @see Bruch, Gai, Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023 (convex combinations, section 4)
 */
export function linear(given?: LinearOptions): Fusion {
  const options = knownOptions<LinearOptions>(given, "linear", ["weights", "normalize"]);
  const { normalize = "minmax" } = options;
  if (!Object.hasOwn(NORMALIZERS, normalize)) {
    throw new InvalidOptionError({
      subject: "normalize",
      expected: "one of minmax, zscore, dbsf",
      got: describe(normalize),
    });
  }
  return {
    name: `linear ${normalize}`,
    weights: checkWeights(options.weights, { text: 0.7, vector: 0.3 }),
    parts: (legs, weightOf) => legs.map((leg) => scaled(NORMALIZERS[normalize](leg), weightOf(leg))),
  };
}

export interface RrfOptions {
  /** How slowly the worth of a rank falls: 1 / (rankConstant + rank). Above 0, default 60. */
  rankConstant?: number;
  /** Default 1 each. */
  weights?: Weights;
}

/**
 * Reciprocal rank fusion: looks at ranks alone, so that it needs no scores and gives no weight to how sure a leg is.
 *
 * @throws {InvalidOptionError} for weights that are all 0 or not within 0..1e9, and a rankConstant that is not above 0
 * @see Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning Methods", 2009
 */
export function rrf(given?: RrfOptions): Fusion {
  const { rankConstant = 60, weights } = knownOptions<RrfOptions>(given, "rrf", ["rankConstant", "weights"]);
  if (!(typeof rankConstant === "number" && rankConstant > 0 && Number.isFinite(rankConstant))) {
    throw new InvalidOptionError({
      subject: "rankConstant",
      expected: "a number above 0",
      got: describe(rankConstant),
    });
  }
  return {
    name: "rrf",
    weights: checkWeights(weights, { text: 1, vector: 1 }),
    parts: (legs, weightOf) =>
      legs.map((leg) => {
        const weight = weightOf(leg);
        return Float64Array.from(leg.ranks, (rank) => (rank === 0 ? 0 : weight / (rankConstant + rank)));
      }),
  };
}

export interface SharesOptions {
  /** Default `{ text: 0.65, vector: 0.35 }`. */
  weights?: Weights;
  /** How sharply a leg's vote follows its scores, in powers of e a standard deviation. 0..100, default 2.5. */
  sharpness?: number;
  /** What the plain scores, put into 0..1, count beside the votes: they order what no leg is sure of. 0..100, default 0.2. */
  plain?: number;
}

/**
 * The default. Each leg shares one vote out among all candidates, in proportion to e^(`sharpness` z), z being how many standard
 * deviations a candidate's score lies above the mean of all. A leg that is sure of one row gives it nearly everything, one
 * that cannot tell spreads its vote thin: so for each query the surer leg decides, without being told which that is. A fifth
 * of `linear` minmax is added for the order of the rest.
 *
 * On the judged sets better than rank fusion and than fixed weights, also on sets held out of the choice of the constants.
 * They lie on a plateau in the mean; the weight is where the set that gains least over the better leg gains most. The table is in
 * bench/README.md (bench/quality.ts).
 *
 * @throws {InvalidOptionError} for weights that are all 0 or not within 0..1e9, and a `sharpness` or `plain` outside of 0..100
 * @see Stone, "The Opinion Pool", 1961 (a weighted sum of distributions); Bridle, 1990 (scores as a distribution: softmax)
 */
export function shares(given?: SharesOptions): Fusion {
  const options = knownOptions<SharesOptions>(given, "shares", ["weights", "sharpness", "plain"]);
  const { weights, sharpness = 2.5, plain: part = 0.2 } = options;
  checkFactor(sharpness, "sharpness");
  checkFactor(part, "plain");
  return {
    name: "shares",
    weights: checkWeights(weights, { text: 0.65, vector: 0.35 }),
    parts: (legs, weightOf) =>
      legs.map((leg) => {
        const said = votesOf(leg, sharpness);
        const plain = minmax(leg);
        const weight = weightOf(leg);
        for (let i = 0; i < said.length; i++) said[i] = weight * (said[i]! + part * plain[i]!);
        return said;
      }),
  };
}

function checkFactor(value: unknown, subject: string): void {
  if (typeof value === "number" && value >= 0 && value <= 100) return;
  throw new InvalidOptionError({ subject, expected: "a number, 0..100", got: describe(value) });
}

function votesOf(leg: Leg, sharpness: number): Float64Array {
  const votes = completed(leg);
  const { deviation } = spread(votes);
  const top = rangeOf(votes).most;
  let sum = 0;
  for (let i = 0; i < votes.length; i++) {
    // Counted from the top, so that no power overflows; the mean cancels out.
    votes[i] = deviation === 0 ? 1 : Math.exp((sharpness * (votes[i]! - top)) / deviation);
    sum += votes[i]!;
  }
  for (let i = 0; i < votes.length; i++) votes[i]! /= sum;
  return votes;
}

const NORMALIZERS = { minmax, zscore, dbsf };

function minmax(leg: Leg): Float64Array {
  const { least, most } = rangeOf(foundBy(leg));
  // A candidate the leg did not find itself lies below what it found.
  return leg.scores.map((score) =>
    Number.isNaN(score) ? 0 : most > least ? Math.max(0, (score - least) / (most - least)) : score >= most ? 1 : 0,
  );
}

function zscore(leg: Leg): Float64Array {
  const { mean, deviation } = spread(foundBy(leg));
  return completed(leg).map((score) => (deviation === 0 ? 0 : (score - mean) / deviation));
}

/** @see Qdrant's documentation, "Hybrid queries": distribution-based score fusion */
function dbsf(leg: Leg): Float64Array {
  const { mean, deviation } = spread(foundBy(leg));
  return leg.scores.map((score) =>
    Number.isNaN(score) ? 0 : deviation === 0 ? 0.5 : Math.min(1, Math.max(0, 0.5 + (score - mean) / (6 * deviation))),
  );
}

/**
 * The scores, to be changed, with a worst one where there is none: no word in common is a BM25 of 0; a row without a vector is the
 * farthest.
 */
function completed({ kind, scores }: Leg): Float64Array {
  const all = scores.slice();
  const worst = kind === "text" ? 0 : rangeOf(scores).least;
  for (let i = 0; i < all.length; i++) if (Number.isNaN(all[i])) all[i] = worst;
  return all;
}

function foundBy({ scores, ranks }: Leg): Float64Array {
  return scores.filter((_, i) => ranks[i] !== 0);
}

/** The least and the largest, NaN left out. */
function rangeOf(values: Float64Array): { least: number; most: number } {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return { least, most };
}

function spread(values: Float64Array): { mean: number; deviation: number } {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / values.length);
  // Equal values may differ from their own mean in the last bit.
  return { mean, deviation: deviation <= Math.abs(mean) * 1e-12 ? 0 : deviation };
}

function scaled(values: Float64Array, weight: number): Float64Array {
  return values.map((value) => weight * value);
}

/** What hybrid was given as `fusion`, or the default. */
export function fusionOption(fusion: unknown, legNames: readonly string[]): Fusion {
  if (fusion === undefined) return shares();
  const given = fusion as Partial<Fusion> | null;
  if (typeof given !== "object" || typeof given?.parts !== "function" || typeof given.weights !== "object") {
    throw new InvalidOptionError({
      subject: "fusion",
      expected: "shares(), linear() or rrf()",
      got: describe(fusion),
    });
  }
  const unknown = Object.keys(given.weights).find((name) => !legNames.includes(name));
  if (unknown !== undefined) {
    throw new InvalidOptionError({
      subject: `weights.${unknown}`,
      expected: `a leg of this index: ${legNames.join(", ")}`,
      got: unknown,
    });
  }
  return given as Fusion;
}

/** A leg's weight: its own, or its part of what all vectors count. */
export function weightOf({ weights }: Fusion, legs: readonly Leg[]): (leg: Leg) => number {
  const unnamed = legs.filter(({ kind, name }) => kind === "vector" && weights[name] === undefined).length;
  return ({ kind, name }) => {
    if (kind === "text") return weights.text ?? 0;
    return (name === "text" ? undefined : weights[name]) ?? (weights.vector ?? 0) / unnamed;
  };
}

function checkWeights(weights: unknown, standard: Weights): Weights {
  if (weights === undefined) return standard;
  if (typeof weights !== "object" || weights === null || Array.isArray(weights)) {
    throw new InvalidOptionError({
      subject: "weights",
      expected: "an object such as { text: 0.5, vector: 0.5 }",
      got: describe(weights),
    });
  }
  const checked: Record<string, number> = Object.create(null);
  for (const [name, weight] of Object.entries(weights)) {
    if (isSmuggled(name)) continue;
    if (typeof weight !== "number" || !(weight >= 0 && weight <= WEIGHT_MAX)) {
      throw new InvalidOptionError({
        subject: `weights.${name}`,
        expected: `a number from 0 to ${WEIGHT_MAX}`,
        got: describe(weight),
      });
    }
    checked[name] = weight;
  }
  if (!Object.values(checked).some((weight) => weight > 0)) {
    throw new InvalidOptionError({ subject: "weights", expected: "a weight above 0", got: "none" });
  }
  return checked;
}
