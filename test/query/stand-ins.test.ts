import { AsyncLocalStorage } from "node:async_hooks";
import { eq } from "drizzle-orm";
import { integer, sqliteTable, text, withReplicas } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import {
  ensureSearchIndexes,
  hybrid,
  nearest,
  nearestMany,
  search,
  searchIndex,
  vectorColumn,
} from "../../src/index.ts";
import { DRIVERS } from "../helpers/databases.ts";

const docs = sqliteTable("docs", { id: integer().primaryKey(), title: text().notNull(), v: vectorColumn(2) });
const index = searchIndex("docs_search", docs, { text: { title: 1 }, vectors: { v: {} } });
const select = { title: docs.title };

describe.each(DRIVERS)("handles that stand for another database on $name", ({ open }) => {
  /** A database with one row in it, which tells whose it is. */
  async function databaseOf(name: string) {
    const { db, exec } = open();
    await exec("create table docs (id integer primary key, title text not null, v blob)");
    await ensureSearchIndexes(db, [index]);
    await db.insert(docs).values({ title: `cats of ${name}`, v: [1, 0] });
    return db;
  }

  /** The titles that each kind of search finds. `within` is how the app calls it. */
  async function foundBy(db: any, within: (call: () => any) => any = (call) => call()) {
    const frozen = await within(() => nearest(db, docs.v, [1, 0]).as("near"));
    const titles = (hits: any) => hits.map(({ title }: any) => title);
    return {
      nearest: titles(await within(() => nearest(db, docs.v, [1, 0], { select }))),
      many: titles((await within(() => nearestMany(db, docs.v, [[1, 0]], { select })))[0]),
      search: titles(await within(() => search(db, index, "cats", { select }))),
      hybrid: titles(await within(() => hybrid(db, index, { text: "cats", vector: [1, 0] }, { select }))),
      prepared: titles(await (await within(() => nearest(db, docs.v, [1, 0], { select }).prepare())).all({})),
      explained: (await within(() => nearest(db, docs.v, [1, 0], { select }).explain())).hits,
      frozen: titles(await within(() => db.select(select).from(frozen).innerJoin(docs, eq(docs.id, frozen.id))).all()),
    };
  }

  const all = (title: string) => ({
    nearest: [title],
    many: [title],
    search: [title],
    hybrid: [title],
    prepared: [title],
    explained: 1,
    frozen: [title],
  });

  /** A database that is looked up at each word, as request scopes do it. */
  function lookedUp(current: () => any): any {
    return new Proxy(
      {},
      {
        get(_, name) {
          const db = current();
          return typeof db[name] === "function" ? db[name].bind(db) : db[name];
        },
      },
    );
  }

  test("a search is that of the database it was called for, though it runs when the request is over", async () => {
    const tenants = new AsyncLocalStorage<any>();
    const [first, second, other] = [await databaseOf("one"), await databaseOf("two"), await databaseOf("nobody")];
    const db = lookedUp(() => tenants.getStore() ?? other);
    expect(await foundBy(db, (call) => tenants.run(first, call))).toEqual(all("cats of one"));
    expect(await foundBy(db, (call) => tenants.run(second, call))).toEqual(all("cats of two"));
    expect(await foundBy(db)).toEqual(all("cats of nobody"));
  });

  test("and needs no request any more", async () => {
    const tenants = new AsyncLocalStorage<any>();
    const only = await databaseOf("one");
    const db = lookedUp(() => {
      const found = tenants.getStore();
      if (!found) throw new Error("no tenant");
      return found;
    });
    expect(await foundBy(db, (call) => tenants.run(only, call))).toEqual(all("cats of one"));
  });

  test("withReplicas is its primary, every step of a search", async () => {
    const [primary, replica] = [await databaseOf("the primary"), await databaseOf("a replica")];
    await replica.delete(docs);
    const db = withReplicas(primary, [replica]) as any;
    const { frozen: _, ...searched } = all("cats of the primary");
    expect(await foundBy(db)).toMatchObject(searched);
  });

  test("a proxy that binds what it hands out", async () => {
    const own = await databaseOf("one");
    expect(await foundBy(lookedUp(() => own))).toEqual(all("cats of one"));
  });
});

test("on libSQL a search through a proxy sees one state of the file, whatever is written between its steps", async () => {
  const { db, exec } = DRIVERS[1]!.open({
    logger: {
      logQuery(statement: string) {
        if (statement.includes("_dv_rank")) db.$client.execute("update docs set title = 'altered'");
      },
    },
  });
  await exec("pragma journal_mode = wal");
  await exec("create table docs (id integer primary key, title text not null, v blob)");
  await db.insert(docs).values({ title: "as it was", v: [1, 0] });
  const proxy = new Proxy(db, {
    get: (target, name) => (typeof target[name] === "function" ? target[name].bind(target) : target[name]),
  });
  expect(await nearest(proxy, docs.v, [1, 0], { select })).toEqual([{ title: "as it was", $distance: 0 }]);
});
