import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** Evaluation data beside the repository; it is no part of it and is never copied into it. */
const FOLDER = new URL("../../../shared/data/", import.meta.url);

/** False in a clone without the data: tests over it are left out there. */
export const hasSharedData = existsSync(FOLDER);

function bytesOf(path: string): Buffer {
  const bytes = readFileSync(fileURLToPath(new URL(path, FOLDER)));
  return path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

export function readJson(path: string): any {
  return JSON.parse(bytesOf(path).toString("utf8"));
}

/** The rows of a file of the fvecs family: each an int32 with the length, then so many float32, int32 or uint8. */
export function readVectors(path: string): (Float32Array | Int32Array | Uint8Array)[] {
  const bytes = bytesOf(path);
  const length = bytes.readInt32LE(0);
  const Rows = path.includes(".bvecs") ? Uint8Array : path.includes(".ivecs") ? Int32Array : Float32Array;
  const stride = 4 + length * Rows.BYTES_PER_ELEMENT;
  return Array.from({ length: bytes.length / stride }, (_, i) => {
    const row = bytes.subarray(i * stride + 4, (i + 1) * stride);
    return new Rows(Uint8Array.from(row).buffer);
  });
}

/** The objects of a file with one JSON object a line. */
export function readJsonLines(path: string): Record<string, any>[] {
  const lines = bytesOf(path).toString("utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** Judgements: query id to document id to grade, both as text. */
export function readQrels(path: string): Map<string, Map<string, number>> {
  const qrels = new Map<string, Map<string, number>>();
  for (const line of bytesOf(path).toString("utf8").trimEnd().split("\n")) {
    const [query, document, grade] = line.split("\t") as [string, string, string];
    qrels.set(query, (qrels.get(query) ?? new Map()).set(document, Number(grade)));
  }
  return qrels;
}
