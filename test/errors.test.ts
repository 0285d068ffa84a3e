import { entityKind, is } from "drizzle-orm";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import * as errors from "../src/errors.ts";

const { DrizzleVectorError, ...classes } = errors;
const source = new URL("../src/errors.ts", import.meta.url).pathname;

/** The classes once more, as a copy of the library that went through a bundler has them. */
async function minified(): Promise<typeof errors> {
  const { outputFiles } = await build({
    entryPoints: [source],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0]!.contents).toString("base64")}`);
}

describe("errors", () => {
  test("each class is called as it is exported", () => {
    expect(Object.values(classes).map((type) => type[entityKind])).toEqual(Object.keys(classes));
    expect(Object.keys(classes)).toHaveLength(24);
  });

  test("an error has the name of its class where a bundler has renamed that", async () => {
    const { IndexMissingError } = await minified();
    expect(IndexMissingError.name).not.toBe("IndexMissingError");
    const error = new IndexMissingError({ subject: "docs_search", expected: "the index", got: "none" });
    expect(error.name).toBe("IndexMissingError");
    expect(String(error)).toBe("IndexMissingError: docs_search: expected the index, got none");
    expect(error.stack?.split("\n")[0]).toBe("IndexMissingError: docs_search: expected the index, got none");
  });

  test("Drizzle's is() knows the errors of another copy of the library, instanceof only those of its own", async () => {
    const { ZeroQueryError } = await minified();
    const error = new ZeroQueryError({ subject: "query", expected: "a direction", got: "zeros" });
    expect(error instanceof DrizzleVectorError).toBe(false);
    expect(is(error, DrizzleVectorError)).toBe(true);
    expect(is(error, errors.ZeroQueryError)).toBe(true);
    expect(is(error, errors.MetricError)).toBe(false);
  });
});
