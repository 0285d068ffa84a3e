import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ConfigError } from "../errors.ts";

/** Vectors from a file. */
export interface QueryFile {
  readonly vectors: readonly number[][];
  /** The file and the line a vector begins on, `queries.json:7`, for errors. */
  nameOf(query: number): string;
}

interface Line {
  readonly vector: number[];
  readonly line: number;
}

/**
 * Reads queries from a file: JSON, an array of arrays of numbers; or JSON lines, an array of numbers each. Empty lines count for
 * nothing.
 *
 * @throws {ConfigError} when it cannot be read, holds no query, or something in it is no array of numbers; names the line
 */
export function readQueries(path: string): QueryFile {
  const text = textOf(path);
  const found = /^\s*\[\s*[[\]]/.test(text) ? arraysOf(text, path) : linesOf(text, path);
  if (found.length === 0) throw wrong(path, "arrays of numbers", "none");
  return { vectors: found.map(({ vector }) => vector), nameOf: (query) => `${path}:${found[query]!.line}` };
}

function textOf(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(resolve(path)));
  } catch (cause) {
    throw wrong(path, "a file of queries in UTF-8", (cause as Error).message, cause);
  }
}

function linesOf(text: string, path: string): Line[] {
  return text.split("\n").flatMap((json, i) => {
    if (json.trim() === "") return [];
    return [{ vector: numbersIn(json, `${path}:${i + 1}`), line: i + 1 }];
  });
}

/**
 * Goes from array to array: a vector holds no brackets, so each is parsed for itself, and its line can be told. Errors of
 * `JSON.parse` for the whole would name no line.
 */
function arraysOf(text: string, path: string): Line[] {
  const found: Line[] = [];
  const cursor = new Cursor(text, path);
  cursor.take(/\[/y, "an opening bracket");
  for (let isOver = cursor.isAt("]"); !isOver; ) {
    const vector = cursor.take(/\[[^[\]]*\]/y, "an array of numbers");
    found.push({ vector: numbersIn(vector.text, `${path}:${vector.line}`), line: vector.line });
    isOver = cursor.take(/[,\]]/y, "a comma or a closing bracket").text === "]";
  }
  if (found.length > 0) cursor.end();
  return found;
}

/** A place in a text, and its line. */
class Cursor {
  readonly #text: string;
  readonly #path: string;
  #at = 0;
  #line = 1;

  constructor(text: string, path: string) {
    this.#text = text;
    this.#path = path;
  }

  /** Whether a character is what comes next, behind white space. */
  isAt(character: string): boolean {
    this.#move(/\s*/y);
    return this.#text[this.#at] === character;
  }

  /** What comes next, behind white space. @param what - sticky */
  take(what: RegExp, expected: string): { text: string; line: number } {
    this.#move(/\s*/y);
    const line = this.#line;
    const text = this.#move(what);
    if (text === undefined) throw wrong(`${this.#path}:${line}`, expected, shown(this.#text.slice(this.#at)));
    return { text, line };
  }

  end(): void {
    this.take(/$/y, "the end of the file");
  }

  #move(what: RegExp): string | undefined {
    what.lastIndex = this.#at;
    const text = what.exec(this.#text)?.[0];
    if (text === undefined) return undefined;
    this.#at += text.length;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#line++;
    return text;
  }
}

function numbersIn(json: string, name: string): number[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw wrong(name, "an array of numbers", shown(json.trim()));
  }
  if (!Array.isArray(parsed)) throw wrong(name, "an array of numbers", shown(json.trim()));
  if (parsed.length === 0) throw wrong(name, "an array of numbers", "an empty one");
  const other = parsed.find((value) => typeof value !== "number");
  if (other !== undefined) throw wrong(name, "an array of numbers", shown(JSON.stringify(other)));
  return parsed;
}

/** The beginning of what was found, on one line. */
function shown(text: string): string {
  if (text === "") return "the end of the file";
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function wrong(subject: string, expected: string, got: string, cause?: unknown): ConfigError {
  const hint = "write [[0.1, 0.2], [0.3, 0.4]], or one [0.1, 0.2] a line: as many numbers as the column has dimensions";
  return new ConfigError({ subject, expected, got, hint, ...(cause === undefined ? {} : { cause }) });
}
