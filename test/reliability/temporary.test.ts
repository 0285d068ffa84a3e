import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dropSearchIndex, ensureSearchIndexes, nearest, optimize, rebuild, search, verify } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp } from "./app.ts";
import { open, write } from "./opened.ts";
import { expectAnswers, expectInStep, expectVectors } from "./witness.ts";

describe.each(APP_NAMES)("temporary tables and views of a connection, %s keys", (name) => {
  const app = APPS[name];

  function opened() {
    const file = join(temporaryFolder(), "app.db");
    createApp(file, name, "wal");
    const { client, db } = open(file);
    expectAnswers({ client, db }, app, 1);
    return { file, client, db };
  }

  test.each([
    ["TABLE", "t", "SELECT * FROM main.t WHERE u < 9"],
    ["VIEW", "t", "SELECT * FROM main.t WHERE u < 9"],
    ["TABLE", "_dv_ix_log", "SELECT * FROM main._dv_ix_log"],
    ["VIEW", "_dv_IX_fts", "SELECT rowid, c0, c1 FROM main._dv_ix_fts"],
    ["TABLE", "_dv_indexes", "SELECT 1 AS name"],
  ])(
    "60: a temporary %s %s hides what is indexed: vectors are read, the rest is refused, nothing is written",
    async (type, hidden, select) => {
      const { file, client, db } = opened();
      client.exec(`CREATE TEMP ${type} ${hidden} AS ${select}`);
      const message = `a temporary ${type.toLowerCase()} hides ${hidden}`;
      for (const state of ["outside", "inside"]) {
        if (state === "inside") client.exec("BEGIN");
        expectVectors({ client, db }, app);
        const asked = nearest(db, app.table.v, [1, 2, 3] as any, { metric: app.metric } as any) as any;
        expect(asked.explain()).toMatchObject({ plan: "bare scan", fallback: message });
        expect(() => (search(db, app.index, "red") as any).all()).toThrow(
          expect.objectContaining({ code: "INDEX_DETACHED", message: expect.stringContaining(message) }),
        );
        if (state === "inside") client.exec("COMMIT");
      }
      expect((await verify(db, app.index)).problems).toEqual([{ code: "TABLE_HIDDEN", message }]);
      await expect(rebuild(db, app.index)).rejects.toMatchObject({ code: "DECLARATION_DRIFT" });
      await expect(optimize(db, app.index)).rejects.toMatchObject({ code: "INDEX_DETACHED" });
      expect(() => ensureSearchIndexes(db, [app.index])).toThrow(message);
      if (hidden !== "t") expect(() => dropSearchIndex(db, app.index)).toThrow(message);

      write(open(file).client, name, 5, 20);
      client.exec(`DROP ${type} temp.${hidden}`);
      await expectInStep(client, app);
    },
  );

  test("another connection does not see them, and others cost nothing", async () => {
    const { file, client, db } = opened();
    client.exec("CREATE TEMP TABLE t (id, v)");
    const other = open(file);
    write(other.client, name, 6, 20);
    await expectInStep(other.client, app);
    client.exec("DROP TABLE temp.t; CREATE TEMP TABLE other (x)");
    const asked = nearest(db, app.table.v, [1, 2, 3] as any, { metric: app.metric } as any) as any;
    expect(asked.explain()).toMatchObject({ plan: "certified scan", fallback: null });
    await expectInStep(client, app);
  });
});
