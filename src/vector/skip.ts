import { vectorBytes } from "../codec/codec.ts";
import type { ColumnSpace } from "./column-space.ts";

/** Why a row with something in its vector column is not among the codes. */
export type Skip = "wrongLength" | "notFinite" | "notAVector";

/** The bytes of what a vector column holds, or why they are no vector of it. */
export function judge(value: unknown, { shape }: ColumnSpace): Uint8Array | Skip {
  const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
  if (!(bytes instanceof Uint8Array)) return "notAVector";
  if (bytes.byteLength !== vectorBytes(shape)) return "wrongLength";
  return bytes;
}
