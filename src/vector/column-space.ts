import { codecOf, isSameBytes, type VectorShape } from "../codec/codec.ts";
import { type Breathing, stepRows } from "../kernel/breathing.ts";
import type { RowCode } from "../kernel/coder.ts";
import type { OneBitShape } from "../kernel/one-bit-blocks.ts";
import type { Metric } from "../metric/metric.ts";
import { calibrate } from "./calibration.ts";
import { ChunkDamage } from "./chunk.ts";
import { type CodeSpace, codeSpace } from "./code-space.ts";
import { fitModel } from "./model.ts";
import { type OneBitModel, oneBitShape } from "./one-bit-space.ts";

/** The codes a column's vectors are kept as: for exact answers, of 1 bit for approximate ones, or both. */
export interface ColumnSpace extends CodeSpace {
  /** Whether there are codes for exact answers; without them their part of a block is empty. */
  readonly isExact: boolean;
  readonly oneBit: OneBitSpace | undefined;
}

export interface OneBitSpace {
  readonly shape: OneBitShape;
  /** Of the estimates on a sample, in deviations; see vector/calibration.ts. */
  readonly spread: number;
}

/** What is coded, and how. */
export interface SpaceInput {
  readonly shape: VectorShape;
  readonly metric: Metric;
  /** Whether codes for exact answers are wanted. Bits are their own codes, whatever is wanted. */
  readonly isExact: boolean;
}

const NO_BYTES = new Uint8Array();
const NO_CODE: RowCode = { head: NO_BYTES, tail: NO_BYTES, params: new Float32Array() };
/** The same for all: a rotation only has to be unlike the data. */
const SEED = 0x5eed;
const HEADER_BYTES = 16;

function hasExact({ shape, isExact }: SpaceInput): boolean {
  return isExact || shape.element === "bit";
}

/**
 * Fits a model to a sample, as bytes: those of the model for exact answers, if any, padded to a multiple of 4; then, for numbers,
 * u32 length of the former, u32 seed of the rotation, f32 spread, 0, and the centre of 1-bit codes as f32, little endian.
 *
 * @param sample - as for `fitModel`
 */
export function* fitColumn(input: SpaceInput, sample: readonly Uint8Array[]): Breathing<Uint8Array> {
  const { shape, metric } = input;
  const exact = hasExact(input) ? yield* fitModel(shape, metric, sample) : NO_BYTES;
  if (shape.element === "bit") return exact;
  const model: OneBitModel = { centre: yield* meanOf(shape, metric, sample), seed: SEED };
  const spread = yield* calibrate({ shape, metric }, model, sample);
  const padded = exact.length + ((4 - (exact.length % 4)) % 4);
  const bytes = new Uint8Array(padded + HEADER_BYTES + shape.dimensions * 4);
  bytes.set(exact);
  const view = new DataView(bytes.buffer, padded);
  view.setUint32(0, exact.length, true);
  view.setUint32(4, SEED, true);
  view.setFloat32(8, spread, true);
  model.centre.forEach((value, i) => {
    view.setFloat32(HEADER_BYTES + i * 4, value, true);
  });
  return bytes;
}

/** Whether bytes are the model of a space. */
export function hasModel({ model }: ColumnSpace, bytes: Uint8Array): boolean {
  return isSameBytes(model, bytes);
}

/**
 * The space of a column; undefined where these bytes are no model of such a one.
 *
 * @param model - from `fitColumn`
 */
export function columnSpace(input: SpaceInput, model: Uint8Array): ColumnSpace | undefined {
  const parts = partsOf(input, model);
  if (!parts || (!hasExact(input) && parts.exact.length > 0)) return undefined;
  const { shape, metric } = input;
  const oneBit = parts.oneBit && { shape: oneBitShape(shape, metric, parts.oneBit), spread: parts.oneBit.spread };
  if (hasExact(input)) {
    const exact = codeSpace(shape, metric, parts.exact);
    return exact && { ...exact, model, isExact: true, oneBit };
  }
  return {
    shape,
    metric,
    model,
    isExact: false,
    oneBit,
    headBytes: 0,
    tailBytes: 0,
    codesOf: (blobs) => blobs.map(() => NO_CODE),
    query: () => {
      throw new TypeError("a column without codes for exact answers was searched for them");
    },
  };
}

/**
 * The space of a model that was read from disk.
 *
 * @throws {ChunkDamage} when it is none of such a column
 */
export function openSpace(input: SpaceInput, model: Uint8Array): ColumnSpace {
  const space = columnSpace(input, model);
  if (!space) throw new ChunkDamage("the model is not one of such vectors");
  return space;
}

interface Parts {
  /** The model for exact answers, before anything is known of it. */
  readonly exact: Uint8Array;
  readonly oneBit: (OneBitModel & { readonly spread: number }) | undefined;
}

function partsOf({ shape }: SpaceInput, bytes: Uint8Array): Parts | undefined {
  if (shape.element === "bit") return { exact: bytes, oneBit: undefined };
  const at = bytes.length - HEADER_BYTES - shape.dimensions * 4;
  if (at < 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  const exact = bytes.subarray(0, view.getUint32(0, true));
  if (exact.length > at || exact.length + 3 < at) return undefined;
  const centre = new Float32Array(bytes.slice(at + HEADER_BYTES).buffer);
  const spread = view.getFloat32(8, true);
  if (!(spread >= 1 && spread < 100) || !centre.every(Number.isFinite)) return undefined;
  return { exact, oneBit: { centre, seed: view.getUint32(4, true), spread } };
}

/** The mean of what is coded, outliers included: estimates are best about it. */
function* meanOf(shape: VectorShape, metric: Metric, sample: readonly Uint8Array[]): Breathing<Float32Array> {
  const step = stepRows(shape.dimensions);
  const sums = new Float64Array(shape.dimensions);
  let count = 0;
  for (const [at, bytes] of sample.entries()) {
    if ((at + 1) % step === 0) yield;
    const x = codecOf(shape.element).decode(bytes);
    let squares = 0;
    for (let i = 0; i < x.length; i++) squares += x[i]! * x[i]!;
    if (!(squares < Number.POSITIVE_INFINITY)) continue;
    const unit = metric !== "cosine" ? 1 : squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let i = 0; i < x.length; i++) sums[i]! += x[i]! * unit;
    count++;
  }
  const mean = Float32Array.from(sums, (sum) => (count === 0 ? 0 : sum / count));
  return mean.every(Number.isFinite) ? mean : new Float32Array(shape.dimensions);
}
