import { type SQL, sql } from "drizzle-orm";
import { toBytes, toHex } from "../codec/codec.ts";
import type { Row } from "../driver/driver.ts";

/**
 * How a part of a key compares: the collation of its column in the primary key, upper case; where that is BINARY in a database of
 * UTF-16, the encoding.
 */
export type Collation = "BINARY" | "NOCASE" | "RTRIM" | "UTF-16le" | "UTF-16be" | (string & {});

/** Orders keys as SQLite orders them: part by part; NULL, numbers, text by its collation, blobs. */
export function compareKeys(a: Row, b: Row, collations: readonly Collation[]): number {
  for (let i = 0; i < a.length; i++) {
    const order = compareValues(a[i], b[i], collations[i] ?? "BINARY");
    if (order !== 0) return order;
  }
  return 0;
}

function compareValues(a: unknown, b: unknown, collation: Collation): number {
  const rank = storageRank(a) - storageRank(b);
  if (rank !== 0) return rank;
  if (typeof a === "string") return compareText(a, b as string, collation);
  if (typeof a === "number" || typeof a === "bigint") return a < (b as number) ? -1 : a > (b as number) ? 1 : 0;
  return a === null ? 0 : compareBytes(toBytes(a)!, toBytes(b)!);
}

function storageRank(value: unknown): number {
  if (value === null) return 0;
  if (typeof value === "number" || typeof value === "bigint") return 1;
  return typeof value === "string" ? 2 : 3;
}

const encoder = new TextEncoder();

function compareText(a: string, b: string, collation: Collation): number {
  // SQLite compares bytes, of UTF-8 but for BINARY in a database of UTF-16; JavaScript's own order is that of UTF-16be.
  if (collation === "UTF-16be") return a < b ? -1 : a > b ? 1 : 0;
  if (collation === "UTF-16le") return compareUnits(a, b);
  if (collation !== "NOCASE") return compareBytes(encoded(a, collation), encoded(b, collation));
  // NOCASE looks no further than the first NUL, and then at the lengths.
  const [x, y] = [encoded(a, collation), encoded(b, collation)];
  return compareBytes(untilNul(x), untilNul(y)) || x.length - y.length;
}

/** By the lower byte of each unit first. */
function compareUnits(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return (x & 255) - (y & 255) || x - y;
  }
  return a.length - b.length;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const at = bytes.indexOf(0);
  return at < 0 ? bytes : bytes.subarray(0, at);
}

function encoded(text: string, collation: Collation): Uint8Array {
  return encoder.encode(collate(text, collation));
}

function collate(text: string, collation: Collation): string {
  // NOCASE folds the 26 letters of ASCII only.
  if (collation === "NOCASE") return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return collation === "RTRIM" ? text.replace(/ +$/, "") : text;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

/**
 * Keys as one JSON parameter: an array of keys in order. A key of one part stands for itself, unless some of the keys hold a
 * blob; any other is an array of its parts. Integers keep all their digits, a blob becomes an array of its hex: `keyPart`
 * turns it back in SQL.
 */
export function keysToJson(keys: readonly Row[]): string {
  const plain = isPlain(keys);
  return `[${keys.map((key) => (plain ? partToJson(key[0]) : `[${key.map(partToJson).join(",")}]`)).join(",")}]`;
}

/**
 * Part `index` of a key that `keysToJson(keys)` made, as an SQL expression.
 *
 * @param json - the key's JSON in SQL
 * @param parts - how many parts each key has
 */
export function keyPart(json: SQL, index: number, parts: number, keys: readonly Row[]): SQL {
  if (parts === 1 && isPlain(keys)) return json;
  const path = (suffix: string) => sql.raw(`'$[${index}]${suffix}'`);
  const value = sql`json_extract(${json}, ${path("")})`;
  // By the values, not by the declared type: a custom type may store blobs under any name, and a column may hold both.
  if (!keys.some((key) => isBlob(key[index]))) return value;
  return sql`case json_type(${json}, ${path("")}) when 'array' then unhex(json_extract(${json}, ${path("[0]")})) else ${value} end`;
}

/** What the SQL of `keyPart` depends on: keys of the same form have the same. */
export function keysForm(keys: readonly Row[]): string {
  if (isPlain(keys)) return "";
  const blobs = keys[0]!.map((_, i) => keys.some((key) => isBlob(key[i])));
  return blobs.map(Number).join("");
}

function isPlain(keys: readonly Row[]): boolean {
  return keys.every((key) => key.length === 1 && !isBlob(key[0]));
}

function isBlob(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function partToJson(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return numberToJson(value);
  return JSON.stringify(isBlob(value) ? [toHex(toBytes(value)!)] : value);
}

/**
 * A REAL, or an integer of a client that reads them as numbers. Large ones are written with an exponent: without, SQLite takes
 * the shortest digits that tell the number from others for an integer, which is another. What is beyond all of them is infinite.
 */
function numberToJson(value: number): string {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return JSON.stringify(value);
  return Number.isFinite(value) ? value.toExponential() : `${value < 0 ? "-" : ""}9e999`;
}

/** A key for people: the value itself, an array where it has several parts; integers as numbers where they are exact. */
export function plainKey(key: Row): unknown {
  const parts = key.map((value) =>
    typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value,
  );
  return parts.length === 1 ? parts[0] : parts;
}
