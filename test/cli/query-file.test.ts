import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readQueries } from "../../src/cli/query-file.ts";
import { ConfigError } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";

function fileOf(text: string | Uint8Array): string {
  const path = join(temporaryFolder(), "queries.json");
  writeFileSync(path, text);
  return path;
}

function vectorsIn(text: string): readonly number[][] {
  return readQueries(fileOf(text)).vectors;
}

/** The message without the folder. */
function refusal(text: string | Uint8Array): string {
  const path = fileOf(text);
  try {
    readQueries(path);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).hint).toContain("write [[0.1, 0.2], [0.3, 0.4]], or one [0.1, 0.2] a line");
    return (error as Error).message.replace(path, "f");
  }
  throw new Error("it was taken");
}

describe("a file of queries", () => {
  test("is an array of arrays, however it is laid out", () => {
    expect(vectorsIn("[[1,2],[3,-4.5e-3]]")).toEqual([
      [1, 2],
      [3, -0.0045],
    ]);
    expect(vectorsIn("\uFEFF \n[\r\n [ 1,\n 2 ]\n,\n[3 ,4] ]\n\n")).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(vectorsIn("[[1]]")).toEqual([[1]]);
  });

  test("or an array a line; empty lines count for nothing", () => {
    expect(vectorsIn("[1,2]\n\n  [3, 4]\r\n")).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(vectorsIn("[7]")).toEqual([[7]]);
  });

  test("knows the line each begins on", () => {
    const path = fileOf("\n[\n[1],\n\n[\n2],[3]\n]");
    const { nameOf } = readQueries(path);
    expect([0, 1, 2].map((query) => nameOf(query).replace(path, "f"))).toEqual(["f:3", "f:5", "f:6"]);
    const lines = fileOf("[1]\n\n[2]");
    expect(readQueries(lines).nameOf(1)).toBe(`${lines}:3`);
  });

  test.each([
    ["", "f: expected arrays of numbers, got none"],
    [" \n ", "f: expected arrays of numbers, got none"],
    ["[]", "f: expected arrays of numbers, got none"],
    ["[[]]", "f:1: expected an array of numbers, got an empty one"],
    ["[1]\n[]", "f:2: expected an array of numbers, got an empty one"],
    ["hello", 'f:1: expected an array of numbers, got "hello"'],
    ["[1,2]\n[1,2", 'f:2: expected an array of numbers, got "[1,2"'],
    ["[1],[2]", 'f:1: expected an array of numbers, got "[1],[2]"'],
    ["[1]\n{}", 'f:2: expected an array of numbers, got "{}"'],
    ["[1]\nnull", 'f:2: expected an array of numbers, got "null"'],
    ["[1]\n[1, NaN]", 'f:2: expected an array of numbers, got "[1, NaN]"'],
    ['[1]\n[1, "2"]', 'f:2: expected an array of numbers, got "\\"2\\""'],
    ["[1]\n[null]", 'f:2: expected an array of numbers, got "null"'],
    ["[[1,2],\n[3,4]", "f:2: expected a comma or a closing bracket, got the end of the file"],
    ["[[1,2]\n[3,4]]", 'f:2: expected a comma or a closing bracket, got "[3,4]]"'],
    ["[[1,2],\n\n]", 'f:3: expected an array of numbers, got "]"'],
    ["[[1,2],\n7]", 'f:2: expected an array of numbers, got "7]"'],
    ["[[1,2],\n[[3]]]", 'f:2: expected an array of numbers, got "[[3]]]"'],
    ["[[1,2],\n[3,true]]", 'f:2: expected an array of numbers, got "true"'],
    ["[[1],[2]]\n[3]", 'f:2: expected the end of the file, got "[3]"'],
    ["[[1],\n[2,]]", 'f:2: expected an array of numbers, got "[2,]"'],
  ])("%j is refused by its line", (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  test("is UTF-8 and a file", () => {
    expect(refusal(Uint8Array.of(0x5b, 0xff, 0x5d))).toContain("f: expected a file of queries in UTF-8, got ");
    const folder = join(temporaryFolder(), "folder");
    mkdirSync(folder);
    expect(() => readQueries(folder)).toThrow("expected a file of queries in UTF-8, got EISDIR");
    expect(() => readQueries(`${folder}/none`)).toThrow("ENOENT");
  });

  test("of a hundred thousand brackets ends soon", () => {
    expect(refusal("[".repeat(100_000))).toContain("f:1: expected an array of numbers, got");
    expect(refusal(`[${"[1],".repeat(100_000)}`)).toContain("got the end of the file");
  });
});
