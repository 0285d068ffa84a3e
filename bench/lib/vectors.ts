import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gaussian, seeded } from "./data.ts";

/** Rows and queries of one kind. Queries are drawn as the rows are, and none of them is a row. */
export interface VectorSource {
  readonly metric: "cosine" | "l2";
  /** Whether all vectors are of unit length, so that an engine may take the inner product for the cosine. */
  readonly isUnit: boolean;
  /** Most rows there are; `Infinity` where they are made. */
  readonly rowsMax: number;
  /** Writes the next row; the first is row 0. */
  nextRow(into: Float32Array): void;
  nextQuery(into: Float32Array): void;
}

export const KINDS = ["like-minilm", "noise", "cone", "offset", "hard", "easy", "duplicates", "sift10k"] as const;
export type Kind = (typeof KINDS)[number];

const DATA = process.env.BENCH_DATA ?? fileURLToPath(new URL("../../../shared/data", import.meta.url));
const CRANFIELD = `${DATA}/cranfield/docs.minilm384.fvecs`;
const SIFT = `${DATA}/sift10k/base.bvecs`;

/**
 * What all-MiniLM-L6-v2 makes of the 1,398 Cranfield abstracts: the norm of the mean, and the share of the variance in the first
 * so many of 384 principal axes.
 */
const MINILM = {
  rows: 1398,
  meanNorm: 0.546,
  energy: [
    [0, 0],
    [1, 0.115],
    [2, 0.186],
    [3, 0.233],
    [4, 0.272],
    [6, 0.333],
    [8, 0.378],
    [12, 0.445],
    [16, 0.497],
    [24, 0.574],
    [32, 0.631],
    [48, 0.715],
    [64, 0.774],
    [96, 0.856],
    [128, 0.908],
    [192, 0.965],
    [256, 0.989],
    [320, 0.998],
    [384, 1],
  ],
} as const;

const CONE_MEAN_NORM = 0.9;
const OFFSET_NORM = 10;
const LATENT_DIMENSIONS = 48;
const CLUSTERS = 1000;
const CLUSTER_SPREAD = 0.5;
const DISTINCT_ROWS = 1000;
const SIFT_QUERIES = 100;

/** Vectors of a kind; the same seed gives the same rows and queries. Undefined where a kind needs a data folder that is absent. */
export function vectorSource(kind: Kind, dimensions: number, seed: number): VectorSource | undefined {
  if (kind === "sift10k") return existsSync(SIFT) ? sift(readVectors(SIFT)) : undefined;
  const world = seeded(seed);
  const [forRows, forQueries] = [seeded(seed + 1_000_003), seeded(seed + 2_000_003)];
  const draw = makerOf(kind, dimensions, world);
  const drawQuery = kind === "duplicates" ? makerOf("like-minilm", dimensions, seeded(seed)) : draw;
  return {
    metric: kind === "offset" ? "l2" : "cosine",
    isUnit: kind !== "offset",
    rowsMax: Number.POSITIVE_INFINITY,
    nextRow: (into) => draw(forRows, into),
    nextQuery: (into) => drawQuery(forQueries, into),
  };
}

/** What a run should say of its data when it is not of the real kind. */
export function remarkOn(kind: Kind, dimensions: number): string {
  const isReal = dimensions === 384 && existsSync(CRANFIELD);
  return kind === "noise" || kind === "hard" || kind === "easy" || kind === "sift10k" || isReal
    ? ""
    : " (mixed from a stand-in of MiniLM's spectrum)";
}

type Maker = (random: () => number, into: Float32Array) => void;

function makerOf(kind: Exclude<Kind, "sift10k">, dimensions: number, world: () => number): Maker {
  switch (kind) {
    case "like-minilm":
      return mixing(existsSync(CRANFIELD) && dimensions === 384 ? readVectors(CRANFIELD) : standIn(dimensions, world));
    case "noise":
      return (random, into) => {
        fillGaussian(random, into);
        normalise(into);
      };
    case "cone": {
      const axis = unit(world, dimensions);
      const inner = makerOf("like-minilm", dimensions, world);
      // |mean| = 0.9 when the rest has none: the mean of the rest is taken out of the axis' way by its sign being random.
      return (random, into) => {
        inner(random, into);
        const sign = random() < 0.5 ? -1 : 1;
        const rest = sign * Math.sqrt(1 - CONE_MEAN_NORM ** 2);
        for (let i = 0; i < into.length; i++) into[i] = CONE_MEAN_NORM * axis[i]! + rest * into[i]!;
        normalise(into);
      };
    }
    case "offset": {
      const axis = unit(world, dimensions);
      const inner = makerOf("like-minilm", dimensions, world);
      return (random, into) => {
        inner(random, into);
        for (let i = 0; i < into.length; i++) into[i]! += OFFSET_NORM * axis[i]!;
      };
    }
    case "hard": {
      const axes = Array.from({ length: dimensions }, () => gaussians(world, LATENT_DIMENSIONS));
      const latent = new Float32Array(LATENT_DIMENSIONS);
      return (random, into) => {
        fillGaussian(random, latent);
        for (let i = 0; i < into.length; i++) {
          const axis = axes[i]!;
          let sum = 0;
          for (let j = 0; j < LATENT_DIMENSIONS; j++) sum += axis[j]! * latent[j]!;
          into[i] = sum;
        }
        normalise(into);
      };
    }
    case "easy": {
      const centres = Array.from({ length: CLUSTERS }, () => gaussians(world, dimensions));
      return (random, into) => {
        fillGaussian(random, into);
        const centre = pick(random, centres);
        for (let i = 0; i < into.length; i++) into[i] = centre[i]! + CLUSTER_SPREAD * into[i]!;
        normalise(into);
      };
    }
    case "duplicates": {
      const inner = makerOf("like-minilm", dimensions, world);
      const distinct = Array.from({ length: DISTINCT_ROWS }, () => {
        const row = new Float32Array(dimensions);
        inner(world, row);
        return row;
      });
      return (random, into) => into.set(pick(random, distinct));
    }
  }
}

/** normalise(a + 0.6 (b - c) + 0.4 (d - e)): any number of vectors with the spectrum of the few they are mixed from. */
function mixing(vectors: readonly Float32Array[]): Maker {
  return (random, into) => {
    const [a, b, c] = [pick(random, vectors), pick(random, vectors), pick(random, vectors)];
    const [d, e] = [pick(random, vectors), pick(random, vectors)];
    for (let i = 0; i < into.length; i++) into[i] = a[i]! + 0.6 * (b[i]! - c[i]!) + 0.4 * (d[i]! - e[i]!);
    normalise(into);
  };
}

/**
 * Gaussian unit vectors with the mean and the spectrum of MiniLM's, stretched to other dimensions; enough of them that a mixture
 * is not confined to a subspace.
 */
function standIn(dimensions: number, world: () => number): Float32Array[] {
  const reach = Math.sqrt(1 - MINILM.meanNorm ** 2);
  const spread = Array.from({ length: dimensions }, (_, i) =>
    Math.sqrt(energyBelow((i + 1) / dimensions) - energyBelow(i / dimensions)),
  );
  // A few reflections turn the axes out of the coordinates, exactly and in little time.
  const mirrors = Array.from({ length: 16 }, () => unit(world, dimensions));
  const mean = unit(world, dimensions);
  return Array.from({ length: Math.max(MINILM.rows, 3 * dimensions) }, () => {
    const row = gaussians(world, dimensions);
    for (let i = 0; i < dimensions; i++) row[i]! *= spread[i]! * reach;
    for (const mirror of mirrors) {
      let along = 0;
      for (let i = 0; i < dimensions; i++) along += row[i]! * mirror[i]!;
      for (let i = 0; i < dimensions; i++) row[i]! -= 2 * along * mirror[i]!;
    }
    for (let i = 0; i < dimensions; i++) row[i]! += MINILM.meanNorm * mean[i]!;
    normalise(row);
    return row;
  });
}

/** Share of the variance in the first `share` of all axes. */
function energyBelow(share: number): number {
  const axes = share * 384;
  const above = Math.max(
    1,
    MINILM.energy.findIndex(([count]) => count >= axes),
  );
  const [[from, low], [to, high]] = [MINILM.energy[above - 1]!, MINILM.energy[above]!];
  return low + ((high - low) * (axes - from)) / (to - from);
}

function sift(vectors: readonly Float32Array[]): VectorSource {
  let [row, query] = [SIFT_QUERIES, 0];
  return {
    metric: "l2",
    isUnit: false,
    rowsMax: vectors.length - SIFT_QUERIES,
    nextRow: (into) => into.set(vectors[row++]!),
    nextQuery: (into) => into.set(vectors[query++ % SIFT_QUERIES]!),
  };
}

/** The vectors of an fvecs or bvecs file: for each an int32 with its dimensions, then so many float32 or uint8. */
function readVectors(file: string): Float32Array[] {
  const bytes = readFileSync(file);
  const dimensions = bytes.readInt32LE(0);
  const size = file.endsWith(".bvecs") ? 1 : 4;
  const stride = 4 + dimensions * size;
  return Array.from({ length: bytes.length / stride }, (_, row) =>
    Float32Array.from({ length: dimensions }, (_, i) => {
      const at = row * stride + 4 + i * size;
      return size === 1 ? bytes[at]! : bytes.readFloatLE(at);
    }),
  );
}

function fillGaussian(random: () => number, into: Float32Array): void {
  // Both numbers of Box and Muller, 1958.
  for (let i = 0; i + 1 < into.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    into[i] = radius * Math.cos(angle);
    into[i + 1] = radius * Math.sin(angle);
  }
  if (into.length % 2 === 1) into[into.length - 1] = gaussian(random);
}

function gaussians(random: () => number, length: number): Float32Array {
  const row = new Float32Array(length);
  fillGaussian(random, row);
  return row;
}

function unit(random: () => number, dimensions: number): Float32Array {
  const row = gaussians(random, dimensions);
  normalise(row);
  return row;
}

function normalise(row: Float32Array): void {
  let squares = 0;
  for (let i = 0; i < row.length; i++) squares += row[i]! * row[i]!;
  const inverse = 1 / Math.sqrt(squares);
  for (let i = 0; i < row.length; i++) row[i]! *= inverse;
}

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}
