import { describe, expect, test } from "vitest";
import { optimize, purge, rebuild, tune, verify } from "../../src/index.ts";
import { openBetterSqlite3 } from "../helpers/databases.ts";
import { docsSearch } from "./app.ts";

const WORK: Record<string, (db: any, options: any) => Promise<unknown>> = {
  optimize: (db, options) => optimize(db, docsSearch, options),
  rebuild: (db, options) => rebuild(db, docsSearch, options),
  verify: (db, options) => verify(db, docsSearch, options),
  tune: (db, options) => tune(db, docsSearch, options),
  purge: (db, options) => purge(db, options),
};

describe.each(Object.keys(WORK))("%s", (name) => {
  const refused = (options: unknown) => expect(WORK[name]!(openBetterSqlite3().db, options)).rejects;

  test("refuses options that do not exist, or are none, before it looks at the database", async () => {
    await refused({ onprogress: () => {} }).toThrow(`onprogress: expected an option of ${name}`);
    await refused(null).toThrow(`options: expected an object of options of ${name}, got null`);
  });

  test("refuses a controller in the place of its signal", async () => {
    await refused({ signal: new AbortController() }).toThrow("signal: expected an AbortSignal, got AbortController");
  });
});

test.each(Object.keys(WORK).filter((name) => name !== "purge"))(
  "%s refuses an onProgress that cannot be called",
  async (name) => {
    await expect(WORK[name]!(openBetterSqlite3().db, { onProgress: "console.log" })).rejects.toThrow(
      'onProgress: expected a function, got text "console.log"',
    );
  },
);
