import { codecOf, type Element, vectorBytes } from "../codec/codec.ts";
import type { Metric } from "../metric/metric.ts";
import { squaredNorm } from "../metric/reference.ts";
import type { Scorer, ScorerInput } from "./kernel.ts";
import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";

type ScoreFunction = (
  metric: number,
  query: number,
  queryNorm: number,
  rows: number,
  stride: number,
  padded: number,
  count: number,
  out: number,
) => void;

interface Exports {
  memory: Memory;
  scoreFloat32: ScoreFunction;
  scoreFloat16: ScoreFunction;
  scoreInt8: ScoreFunction;
  scoreBit: ScoreFunction;
}

const METRIC_CODE: Record<Metric, number> = { cosine: 0, l2: 1, dot: 2, hamming: 3 };

/** How each element lies in the kernel's memory: elements to pad to, bytes an element of the query, and the export. */
const LAYOUT: Record<Element, { pad: number; exported: Exclude<keyof Exports, "memory"> }> = {
  float32: { pad: 8, exported: "scoreFloat32" },
  float16: { pad: 8, exported: "scoreFloat16" },
  int8: { pad: 16, exported: "scoreInt8" },
  bit: { pad: 16, exported: "scoreBit" },
};

/** Rows of one call: enough to make the call cheap, few enough that they and the query stay in the first caches. */
const BATCH_BYTES = 96 * 1024;
const BATCH_ROWS = 256;

let loaded: Exports | null | undefined;

/** A scorer on the SIMD kernels, or undefined where the engine cannot run them. */
export function wasmScorer({ shape, metric, query }: ScorerInput): Scorer | undefined {
  if (loaded === undefined) loaded = instantiate<Exports>() ?? null;
  if (loaded === null) return undefined;
  const exports = loaded;
  const { pad, exported } = LAYOUT[shape.element];
  const floats = shape.element === "float32" || shape.element === "float16";
  const rowBytes = vectorBytes(shape);
  // `bit` counts in bytes, the others in elements.
  const padded = roundUp(floats ? shape.dimensions : rowBytes, pad);
  const stride = floats ? padded * (rowBytes / shape.dimensions) : padded;
  const capacity = Math.max(1, Math.min(BATCH_ROWS, Math.floor(BATCH_BYTES / stride)));
  const decoded = codecOf(shape.element).decode(query);
  const queryNorm = squaredNorm(decoded);
  const queryAt = BASE;
  const outAt = roundUp(queryAt + padded * (floats ? 8 : 1), 16);
  const rowsAt = outAt + capacity * 8;
  const endAt = rowsAt + capacity * stride;
  const score = exports[exported];

  return {
    kernel: "wasm",
    capacity,
    score(rows) {
      // Other scorers share the memory, so everything is laid out anew: cheap beside the rows themselves.
      grow(exports.memory, endAt);
      const { buffer } = exports.memory;
      if (floats) {
        const at = new Float64Array(buffer, queryAt, padded);
        at.set(decoded);
        at.fill(0, decoded.length);
      } else {
        const at = new Uint8Array(buffer, queryAt, padded);
        at.set(query);
        at.fill(0, query.length);
      }
      const area = new Uint8Array(buffer, rowsAt, rows.length * stride);
      for (let i = 0, at = 0; i < rows.length; i++, at += stride) {
        area.set(rows[i]!, at);
        if (stride !== rowBytes) area.fill(0, at + rowBytes, at + stride);
      }
      score(METRIC_CODE[metric], queryAt, queryNorm, rowsAt, stride, padded, rows.length, outAt);
      return new Float64Array(buffer, outAt, rows.length);
    },
  };
}
