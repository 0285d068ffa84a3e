import { DimensionMismatchError, VectorValueError } from "../errors.ts";
import { bit } from "./bit.ts";
import { float16 } from "./float16.ts";
import { float32 } from "./float32.ts";
import { int8 } from "./int8.ts";

/** How one number of a vector is stored. `float16` is IEEE 754 half precision; `bit` packs eight dimensions into a byte. */
export type Element = "float32" | "float16" | "int8" | "bit";

/**
 * The typed array a column of an element reads as and takes in mode `typed`. Without type arguments: before TypeScript 5.7 they
 * would become `any`, and from then on `Float32Array<ArrayBuffer>` would refuse the plain `Float32Array` most embedders return.
 */
export interface ElementArray {
  float32: Float32Array;
  float16: Float32Array;
  int8: Int8Array;
  bit: Uint8Array;
}

/** What is known of a vector column without its table. */
export interface VectorShape<TElement extends Element = Element> {
  readonly dimensions: number;
  readonly element: TElement;
}

/**
 * Numbers to bytes and back for one element. The bytes are little endian and hold nothing but the elements.
 * Codecs check values; `encodeVector` has checked that `values.length` is `length(dimensions)`.
 */
export interface Codec<TArray extends ElementArray[Element] = ElementArray[Element]> {
  /** Bytes a vector of so many dimensions takes. */
  bytes(dimensions: number): number;
  /** A new array of bytes, never a view. `fail` throws; it is given the index, the value and what would have been right. */
  encode(
    values: ArrayLike<number>,
    fail: (index: number, value: unknown, expected: string) => never,
  ): Uint8Array<ArrayBuffer>;
  /** A new typed array over its own memory; `bytes` may start at any offset. */
  decode(bytes: Uint8Array): TArray;
  /** The same to be read for a moment: may be a view of `bytes`, which is several times as fast. */
  view(bytes: Uint8Array): TArray;
  /** The plain numbers of mode `array`. */
  toNumbers(decoded: TArray): number[];
}

const CODECS: { [E in Element]: Codec<ElementArray[E]> } = { float32, float16, int8, bit };

export const ELEMENTS = Object.keys(CODECS) as readonly Element[];

export function codecOf<TElement extends Element>(element: TElement): Codec<ElementArray[TElement]> {
  return CODECS[element];
}

/** Bytes of one stored vector: 4, 2, 1 or 1/8 a dimension. */
export function vectorBytes({ dimensions, element }: VectorShape): number {
  return codecOf(element).bytes(dimensions);
}

/**
 * Encodes a vector as its column stores it.
 *
 * @param values - an array or typed array of `dimensions` numbers; for `bit` also a `Uint8Array` of `dimensions / 8` packed
 * bytes, lowest bit first
 * @param subject - who to name in an error, such as `docs.embedding`
 * @returns new bytes; `values` is neither kept nor changed
 * @throws {DimensionMismatchError} when the length is wrong
 * @throws {VectorValueError} when `values` is no list of numbers, or a value does not fit the element
 */
export function encodeVector(values: unknown, shape: VectorShape, subject: string): Uint8Array<ArrayBuffer> {
  const list = asList(values, shape, subject);
  const packed = shape.element === "bit" && list instanceof Uint8Array;
  const expected = packed ? shape.dimensions / 8 : shape.dimensions;
  if (list.length !== expected) {
    throw new DimensionMismatchError({
      subject,
      expected: packed ? `${expected} bytes (${shape.dimensions} dimensions)` : `${expected} dimensions`,
      got: String(list.length),
      hint: lengthHint(list, shape),
    });
  }
  return codecOf(shape.element).encode(list, (index, value, expectation) => {
    throw new VectorValueError({
      subject: `${subject}[${index}]`,
      expected: expectation,
      got: describe(value),
    });
  });
}

/**
 * Reads a vector from what a driver hands out: Buffer, Uint8Array, ArrayBuffer, an array of byte values, or hex text.
 * The result never shares memory with the driver.
 *
 * @throws {DimensionMismatchError} when the stored bytes are not a vector of the column's dimensions
 */
export function decodeVector<TElement extends Element>(
  value: unknown,
  shape: VectorShape<TElement>,
  subject: string,
): ElementArray[TElement] {
  const bytes = toBytes(value);
  const expected = vectorBytes(shape);
  if (bytes === undefined || bytes.byteLength !== expected) {
    throw new DimensionMismatchError({
      subject,
      expected: `${shape.dimensions} dimensions (${expected} bytes of ${shape.element})`,
      got: bytes === undefined ? describe(value) : `${bytes.byteLength} bytes`,
      hint: "The stored value was not written through this column, or the column's dimensions or element have changed.",
    });
  }
  return codecOf(shape.element).decode(bytes);
}

/** The bytes behind a driver's value as a view, or undefined where it is none. Never throws. */
export function toBytes(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.every(isByte) ? Uint8Array.from(value) : undefined;
  if (typeof value === "string") return fromHex(value);
  return undefined;
}

/** Node.js compares 2 MB in 0.1 ms; a loop takes 6 to 10. */
export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  if (typeof Buffer === "undefined") return a.every((byte, i) => byte === b[i]);
  return Buffer.compare(a, b) === 0;
}

/** Lower-case hex of bytes; the inverse of what SQLite's `hex()` gives, whatever the case. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined;
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(i * 2, i * 2 + 2), 16));
}

function isByte(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 255;
}

/** What a list of the wrong length most likely is. */
function lengthHint(list: ArrayLike<unknown>, shape: VectorShape): string {
  if (Array.isArray(list[0]) || ArrayBuffer.isView(list[0])) {
    return "It is a list of vectors, as models give one for several texts: take one of them.";
  }
  const isBytes = list instanceof Uint8Array;
  if (isBytes && shape.element !== "bit" && list.length === vectorBytes(shape)) {
    return "These are the bytes of a stored vector, not its numbers: read it through the column.";
  }
  return isBytes || shape.element !== "bit"
    ? "Embed with the model the column was declared for, or declare the column with the model's dimensions."
    : "Pass one number (0 or 1) a dimension, or a Uint8Array with eight dimensions a byte, lowest bit first.";
}

function asList(values: unknown, shape: VectorShape, subject: string): ArrayLike<number> {
  const isList = Array.isArray(values) || (ArrayBuffer.isView(values) && !(values instanceof DataView));
  if (isList) return values as unknown as ArrayLike<number>;
  throw new VectorValueError({
    subject,
    expected: shape.element === "bit" ? "an array of 0 and 1 or a Uint8Array" : "an array or typed array of numbers",
    got: describe(values),
    hint: kindHint(values),
  });
}

/** What has to be done first with a value that is often given in the place of a vector. */
function kindHint(values: unknown): string | undefined {
  if (values instanceof Promise) return "Await it first.";
  return typeof values === "string" ? "Embed the text first; a vector written as JSON has to be parsed." : undefined;
}

/** A value in few words, for error messages. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return `text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  if (typeof value === "object" || typeof value === "function") {
    const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
    return typeof name === "string" ? name : "an object";
  }
  return typeof value === "bigint" ? `${value}n` : String(value);
}
