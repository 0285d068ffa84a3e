import { copyFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { installedIn } from "../../src/change/attachment.ts";
import { driverOf } from "../../src/driver/driver.ts";
import {
  ensureSearchIndexes,
  IndexFormatError,
  IndexMissingError,
  InvalidOptionError,
  type Progress,
  ReadOnlyError,
  rebuild,
  searchIndex,
  status,
  TransactionOpenError,
  verify,
} from "../../src/index.ts";
import { execute } from "../../src/maintenance/target.ts";
import { definitionOf } from "../../src/migration/definition.ts";
import type { Installed } from "../../src/migration/installed.ts";
import { planRebuild } from "../../src/migration/plan.ts";
import { type Db, DRIVERS, openBetterSqlite3, temporaryFolder } from "../helpers/databases.ts";
import { rows } from "../migration/database.ts";
import { DDL, docs, docsSearch, pagesSearch, ROWS } from "./app.ts";

/** Both tables with `count` rows each, and both indexes. */
function filled(count: number, file?: string) {
  const opened = openBetterSqlite3({}, file);
  for (const statement of DDL) opened.client.exec(statement);
  const numbers = `WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
  opened.client.exec(`${numbers} INSERT INTO docs (id, title, body) SELECT i, 'title ' || i, 'word' || (i % 7) FROM n`);
  opened.client.exec(`${numbers} INSERT INTO pages SELECT 's' || (i % 3), '/' || i, 'page ' || i FROM n`);
  ensureSearchIndexes(opened.db, [docsSearch, pagesSearch]);
  return opened;
}

const pending = (client: Database.Database) =>
  client.prepare("SELECT pending FROM _dv_indexes WHERE name = 'docs_search'").pluck().get();

describe.each(DRIVERS)("on $name", ({ open }) => {
  test.each([docsSearch, pagesSearch])("fills $name from the table and leaves every user row alone", async (index) => {
    const { db, exec } = open();
    for (const statement of [...DDL, ...ROWS]) await exec(statement);
    await ensureSearchIndexes(db, [index], { deferText: true });
    const table = sql.raw(index === docsSearch ? "SELECT * FROM docs" : "SELECT * FROM pages");
    const before = await db.all(table);
    const progress: Progress[] = [];
    const result = await rebuild(db, index, { onProgress: (step) => progress.push(step) });
    expect(result).toEqual({ index: index.name, rows: 3, ms: expect.any(Number) });
    expect(progress).toEqual([{ done: 3, total: 3 }]);
    expect(await db.all(table)).toEqual(before);
    expect(await verify(db, index)).toMatchObject({ ok: true, rows: 3, indexed: 3 });
    expect(await status(db, index)).toMatchObject({ pending: null, ok: true });
  });
});

test("a detached index is whole again: triggers, key map, text", async () => {
  const { client, db } = filled(1000);
  for (const index of ["docs_search", "pages_search"]) {
    for (const event of ["insert", "delete", "updatekey", "updatetext"]) {
      client.exec(`DROP TRIGGER _dv_${index}_${event}`);
    }
  }
  client.exec("DELETE FROM docs WHERE id < 10; UPDATE docs SET title = 'unseen' WHERE id = 20");
  client.exec("INSERT INTO pages VALUES ('new', '/', 'unseen'); DELETE FROM pages WHERE path = '/7'");
  expect((await verify(db, docsSearch)).ok).toBe(false);
  await rebuild(db, docsSearch);
  await rebuild(db, "pages_search");
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 991, indexed: 991 });
  expect(await verify(db, pagesSearch)).toMatchObject({ ok: true, rows: 1000, indexed: 1000 });
  client.exec("INSERT INTO docs (id, title) VALUES (5, 'seen')");
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 992, indexed: 992 });
});

test("33: vectors are reset and written anew, and the log tells every process", async () => {
  const { client, db } = filled(3);
  client.exec("UPDATE _dv_docs_search_head SET generation = 4, seq = 1, nonce = 2; DELETE FROM _dv_docs_search_log");
  await rebuild(db, docsSearch);
  expect(rows(client, "SELECT seq, id FROM _dv_docs_search_log")).toEqual([[1, null]]);
  const head = `SELECT "column", h.seq, h.nonce = l.nonce, format FROM _dv_docs_search_head AS h JOIN _dv_docs_search_log AS l ON l.seq = h.seq`;
  expect(rows(client, head)).toEqual([["embedding", 1, 1, 1]]);
  expect(rows(client, `SELECT DISTINCT "column" FROM _dv_docs_search_chunks`)).toEqual([["embedding"]]);
});

test("67: a damaged FTS index is restored, the table untouched", async () => {
  const { client, db } = filled(500);
  const table = rows(client, "SELECT * FROM docs");
  client.unsafeMode(true);
  client.exec("UPDATE _dv_docs_search_fts_data SET block = zeroblob(length(block)) WHERE id > 10");
  expect((await verify(db, docsSearch)).problems).toMatchObject([{ code: "TEXT_DAMAGED" }]);
  await rebuild(db, docsSearch);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true });
  expect(rows(client, "SELECT * FROM docs")).toEqual(table);
});

test("an abort between slices leaves the index pending, and the next run goes on and finishes", async () => {
  const { client, db } = filled(3000);
  const controller = new AbortController();
  const aborted = rebuild(db, docsSearch, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error("enough")),
  });
  await expect(aborted).rejects.toThrow("enough");
  expect(pending(client)).toBe("text");
  const [[left]] = rows(client, "SELECT count(*) FROM _dv_docs_search_fts_content") as [[number]];
  expect(left).toBe(256);
  // A row of the part that is done has changed, one of the other part, one is new.
  client.exec("UPDATE docs SET title = 'later' WHERE id IN (5, 2500); INSERT INTO docs (id) VALUES (-3)");
  expect(await verify(db, docsSearch)).toMatchObject({ ok: false, problems: [{ code: "TEXT_PENDING" }] });
  expect(await rebuild(db, docsSearch)).toMatchObject({ rows: 3001 });
  expect(pending(client)).toBe(null);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 3001, indexed: 3001 });
});

test("what an interrupted run left is not built on when it is damaged or was detached", async () => {
  const { client, db } = filled(600);
  const stopped = () => {
    const controller = new AbortController();
    return rebuild(db, docsSearch, { signal: controller.signal, onProgress: () => controller.abort() }).catch(() => {});
  };
  client.unsafeMode(true);
  await stopped();
  client.exec("UPDATE _dv_docs_search_fts_content SET c0 = 'ghost' WHERE id = 1");
  await rebuild(db, docsSearch);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true });

  await stopped();
  client.exec("DROP TRIGGER _dv_docs_search_updatetext; UPDATE docs SET title = 'unseen' WHERE id = 1");
  await rebuild(db, docsSearch);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true });
});

test("a process that is killed in the middle leaves the index pending, and every row of the user", async () => {
  const folder = temporaryFolder();
  const { client, db } = filled(3000, join(folder, "app.db"));
  const rowsBefore = rows(client, "SELECT * FROM docs");
  await rebuild(db, docsSearch, {
    onProgress() {
      // Between two slices nothing is open: a kill leaves the file as it is now.
      copyFileSync(join(folder, "app.db"), join(folder, "killed.db"));
      throw new Error("killed");
    },
  }).catch(() => {});
  const killed = openBetterSqlite3({}, join(folder, "killed.db"));
  expect(pending(killed.client)).toBe("text");
  await rebuild(killed.db, docsSearch);
  expect(await verify(killed.db, docsSearch)).toMatchObject({ ok: true, rows: 3000, indexed: 3000 });
  expect(rows(killed.client, "SELECT * FROM docs")).toEqual(rowsBefore);
});

test("an abort before the first slice changes nothing", async () => {
  const { client, db } = filled(3);
  await expect(rebuild(db, docsSearch, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  expect(pending(client)).toBe(null);
});

test("writes during a rebuild are not lost, whichever side of the slice they fall on", async () => {
  const file = join(temporaryFolder(), "app.db");
  const { db } = filled(3000, file);
  const other = openBetterSqlite3({}, file).client;
  let slice = 0;
  const write = (index: typeof docsSearch | typeof pagesSearch) =>
    rebuild(db, index, {
      onProgress: ({ done }) => {
        slice++;
        other.exec(`UPDATE docs SET title = 'changed ${slice}' WHERE id IN (1, ${done}, ${done + 1}, 2999)`);
        other.exec(
          `DELETE FROM docs WHERE id IN (2, ${done - 1}, ${done + 2}); INSERT INTO docs (id) VALUES (${-slice}), (${9000 + slice})`,
        );
        other.exec(`UPDATE pages SET body = 'changed' WHERE path IN ('/1', '/${done + 1}')`);
        other.exec(`UPDATE pages SET path = path || '/moved' WHERE path IN ('/2', '/${done + 2}')`);
        other.exec(
          `DELETE FROM pages WHERE path IN ('/3', '/${done + 3}'); INSERT INTO pages VALUES ('new', '/${slice}', '')`,
        );
      },
    });
  await write(docsSearch);
  await write(pagesSearch);
  expect(slice).toBeGreaterThan(4);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true });
  expect(await verify(db, pagesSearch)).toMatchObject({ ok: true });
});

test("a table recreated under its hands makes it begin again", async () => {
  const { client, db } = filled(1000);
  let isDone = false;
  await rebuild(db, docsSearch, {
    onProgress() {
      if (isDone) return;
      isDone = true;
      client.exec(`${DDL[0]!.replace("docs", "__new_docs")}; INSERT INTO __new_docs SELECT * FROM docs; DROP TABLE docs;
        ALTER TABLE __new_docs RENAME TO docs; UPDATE docs SET title = 'unseen' WHERE id = 1`);
    },
  });
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 1000 });
});

test("two rebuilds at once complete the same index", async () => {
  const file = join(temporaryFolder(), "app.db");
  const { db } = filled(2000, file);
  const other = openBetterSqlite3({}, file);
  await Promise.all([rebuild(db, docsSearch), rebuild(other.db, docsSearch)]);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 2000, indexed: 2000 });
});

describe("a text made anew by another process, empty, while this one fills it, is filled from its beginning", () => {
  const stemmed = searchIndex("docs_search", docs, {
    text: { title: 3, body: 1 },
    tokenizer: "porter",
    vectors: { embedding: { metric: "cosine" } },
  });

  test.each<[string, (other: Db) => unknown]>([
    ["a deploy with another tokenizer", (db) => ensureSearchIndexes(db, [stemmed], { deferText: true })],
    [
      // It found the index before this one had begun, and takes it for one that nobody rebuilds.
      "a rebuild that had to wait for the lock",
      (db) => {
        const installed = driverOf(db).run(() => installedIn(["docs"])) as Installed;
        const { before, after } = planRebuild(definitionOf(docsSearch), installed, "ensure");
        driverOf(db).write(() => execute([...before, ...after]));
      },
    ],
  ])("%s", async (_, interfere) => {
    const file = join(temporaryFolder(), "app.db");
    const { db, client } = filled(2000, file);
    const other = openBetterSqlite3({}, file);
    let slices = 0;
    await rebuild(db, docsSearch, {
      onProgress({ done }) {
        if (slices++ === 1) {
          expect(done).toBeLessThan(2000);
          interfere(other.db);
        }
      },
    });
    expect(pending(client)).toBe(null);
    expect(await verify(db, "docs_search")).toMatchObject({ ok: true, rows: 2000, indexed: 2000 });
  });
});

test("68: ghosts go", async () => {
  const { client, db } = filled(20);
  client.exec("INSERT INTO _dv_docs_search_fts (rowid, c0) VALUES (77, 'ghost')");
  expect((await verify(db, docsSearch)).problems).toMatchObject([{ code: "NOT_A_ROW", count: 1, key: 77 }]);
  await rebuild(db, docsSearch);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, indexed: 20 });
});

test("ids at both ends of SQLite's integers are gone through", async () => {
  const { client, db } = filled(2);
  client.exec(
    "INSERT INTO docs (id, title) VALUES (-9223372036854775808, 'first'), (9223372036854775807, 'last'), (9007199254740993, 'odd')",
  );
  await rebuild(db, docsSearch);
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 5, indexed: 5 });
});

test("waits for a transaction of the app on the same connection, so that none of its slices is rolled back", async () => {
  const { client, db } = filled(1000);
  let isDone = false;
  await rebuild(db, docsSearch, {
    onProgress() {
      if (isDone) return;
      isDone = true;
      client.exec("BEGIN");
      setTimeout(() => client.exec("ROLLBACK"), 30);
    },
  });
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true });
});

describe("refuses", () => {
  test("an open transaction", async () => {
    const { client, db } = filled(1);
    client.exec("BEGIN");
    await expect(rebuild(db, docsSearch)).rejects.toThrow(TransactionOpenError);
  });

  test("an index that is not there, is of a newer format, or no index", async () => {
    const { client, db } = filled(1);
    await expect(rebuild(db, "other")).rejects.toThrow(IndexMissingError);
    await expect(rebuild(db, 7 as never)).rejects.toThrow(InvalidOptionError);
    client.exec("UPDATE _dv_indexes SET format = 2");
    await expect(rebuild(db, docsSearch)).rejects.toThrow(IndexFormatError);
  });

  test("a table that lacks what is recorded, and changes nothing then", async () => {
    const { client, db } = filled(1);
    client.exec("ALTER TABLE docs RENAME TO other");
    client.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY)");
    await expect(rebuild(db, docsSearch)).rejects.toThrow("column docs.title does not exist");
    expect(pending(client)).toBe(null);
  });

  test("a read-only database", async () => {
    const file = join(temporaryFolder(), "app.db");
    filled(1, file);
    const client = new Database(file, { readonly: true });
    onTestFinished(() => void client.close());
    await expect(rebuild(drizzle({ client }), docsSearch)).rejects.toThrow(ReadOnlyError);
  });
});
