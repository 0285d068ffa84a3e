import { writeFileSync } from "node:fs";
import { createClient } from "@libsql/client";
import { describe, expect, test } from "vitest";
import { IndexDamagedError, IndexFormatError, nearest, optimize, release, status, verify } from "../../src/index.ts";
import { LOG_TAIL } from "../../src/migration/log-triggers.ts";
import { CHUNK_FORMAT, encodeChunk, ownerOf } from "../../src/vector/chunk.ts";
import { seeded, temporaryFolder } from "../helpers/databases.ts";
import { App, type Connection, chunks, until } from "../helpers/folding.ts";
import { fold } from "../helpers/slow-fold.ts";

const certified = { plan: "certified scan", fallback: null };

/** A folded app with a model, a manifest and two blocks of rows, of three chunks each. */
function madeApp(): App {
  const app = new App({ rows: 4300, dimensions: 4 });
  fold(app.first);
  return app;
}

let template: Buffer | undefined;

/** The same, with the same history each time: made once, and copied. */
function foldedApp(): App {
  template ??= madeApp().first.client.serialize();
  const file = `${temporaryFolder()}/template.db`;
  writeFileSync(file, template);
  return new App({ dimensions: 4, copied: file });
}

/** Where the parts of a generation lie: `[generation, part]`. */
function partsOf({ client }: Connection): Record<"model" | "ids" | "codes" | "bits" | "manifest", [number, number]> {
  const all = client.prepare("SELECT generation, part FROM _dv_ix_chunks ORDER BY 1, 2").raw().all() as any;
  const [model, , , , ids, codes, bits] = all;
  return { model, ids, codes, bits, manifest: all.at(-1) };
}

function alter({ client }: Connection, [generation, part]: [number, number], change: (bytes: Buffer) => Buffer): void {
  const where = "WHERE generation = ? AND part = ?";
  const bytes = client.prepare(`SELECT bytes FROM _dv_ix_chunks ${where}`).pluck().get(generation, part) as Buffer;
  client.prepare(`UPDATE _dv_ix_chunks SET bytes = ? ${where}`).run(change(bytes), generation, part);
}

const corruption = { code: "CORRUPTION", index: "ix" };

/** Asks for exact answers, and for those of 1-bit codes, which are not read before. */
function askBoth(app: App, connection: Connection): void {
  expect(app.expectExact(connection, { queries: 1 })).toMatchObject(certified);
  const asked = nearest(connection.db, app.table.v, [1, 2, 3, 4], { recall: 0.9 } as object);
  expect(asked.explain()).toMatchObject({ plan: "1-bit scan", fallback: null });
}

/** The answer is the table's, it is told once, and the next fold heals it. */
async function expectHealed(app: App): Promise<void> {
  const hurt = app.connect();
  for (let i = 0; i < 2; i++) askBoth(app, hurt);
  expect(hurt.events).toEqual([expect.objectContaining(corruption)]);
  await optimize(hurt.db, app.index);
  const after = app.connect({ readonly: true });
  askBoth(app, after);
  expect(after.events).toEqual([]);
}

describe.each(["model", "bits", "manifest"] as const)("a byte of the %s is flipped", (kind) => {
  // Magic, format, kind, owner, unit, stamp, part, count, length, checksum, payload.
  test.each([0, 4, 6, 8, 12, 16, 24, 32, 36, 40, 44, 48, -1])("at %i", async (at) => {
    const app = foldedApp();
    alter(app.first, partsOf(app.first)[kind], (bytes) => {
      bytes[at < 0 ? bytes.length + at : at]! ^= 0x11;
      return bytes;
    });
    await expectHealed(app);
  });

  test("at random", () => {
    const app = foldedApp();
    const random = seeded(11);
    for (let round = 0; round < 5; round++) {
      alter(app.first, partsOf(app.first)[kind], (bytes) => {
        bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
        return bytes;
      });
      const hurt = app.connect();
      askBoth(app, hurt);
      expect(hurt.events).toEqual([expect.objectContaining(corruption)]);
      fold(hurt, { isChecked: true });
      const after = app.connect();
      askBoth(app, after);
      expect(after.events).toEqual([]);
    }
  });

  test.each([
    ["missing", "DELETE FROM _dv_ix_chunks WHERE generation = $g AND part = $p"],
    ["emptied", "UPDATE _dv_ix_chunks SET bytes = x'' WHERE generation = $g AND part = $p"],
    ["a text", "UPDATE _dv_ix_chunks SET bytes = 'text' WHERE generation = $g AND part = $p"],
    ["cut short", "UPDATE _dv_ix_chunks SET bytes = substr(bytes, 1, 1000) WHERE generation = $g AND part = $p"],
    ["lying elsewhere", "UPDATE _dv_ix_chunks SET part = part + 100 WHERE generation = $g AND part = $p"],
    [
      "overwritten by another part",
      "UPDATE _dv_ix_chunks SET bytes = (SELECT bytes FROM _dv_ix_chunks WHERE (generation, part) != ($g, $p) ORDER BY generation, part LIMIT 1) WHERE generation = $g AND part = $p",
    ],
  ])("it is %s", async (_, sql) => {
    const app = foldedApp();
    const [g, p] = partsOf(app.first)[kind];
    // The model is one part: with fewer than 1,000 bytes it would not be cut.
    if (sql.includes("substr")) alter(app.first, [g, p], (bytes) => bytes.subarray(0, bytes.length >> 1));
    else app.first.client.prepare(sql).run({ g, p });
    await expectHealed(app);
  });
});

describe("chunks that are sound and not those that are meant", () => {
  test("codes of other vectors, with a header and a checksum that fit", async () => {
    const app = foldedApp();
    const all = app.first.client.prepare("SELECT generation, part, bytes FROM _dv_ix_chunks").all() as any[];
    for (const { generation, part } of all.filter(({ bytes }) => bytes.readUInt16LE(6) === 4)) {
      alter(app.first, [generation, part], (bytes) => {
        const count = bytes.readUInt32LE(36);
        const place = { unit: bytes.readBigInt64LE(16), stamp: bytes.readBigInt64LE(24), part, count };
        // Of half the length: the nearest rows lie nearer than their codes say.
        const payload = new Int8Array(bytes.subarray(48));
        // Of each four rows 64 bytes of heads and 48 of parameters.
        for (let i = 0; i < payload.length; i++) if (i % 112 < 64) payload[i]! /= 2;
        return Buffer.from(
          encodeChunk({ kind: "codes", owner: ownerOf("ix", "v"), ...place }, new Uint8Array(payload.buffer)),
        );
      });
    }
    const hurt = app.connect();
    app.expectExact(hurt);
    expect(app.expectExact(hurt)).toMatchObject(certified);
    expect(hurt.events.map(({ code }) => code)).toEqual(["FALLBACK", "CORRUPTION"]);
    await optimize(hurt.db, app.index);
    const after = app.connect({ readonly: true });
    expect(app.expectExact(after)).toMatchObject(certified);
    expect(after.events).toEqual([]);
  });

  test("the same part of another index on the same table shape", async () => {
    const app = foldedApp();
    const other = madeApp();
    const [g, p] = partsOf(app.first).ids;
    const bytes = other.first.client.prepare("SELECT bytes FROM _dv_ix_chunks WHERE part = 3").pluck().get() as Buffer;
    alter(app.first, [g, p], () => bytes);
    await expectHealed(app);
  });

  test("all chunks of another database", async () => {
    const app = foldedApp();
    const other = madeApp();
    other.put(0, 100);
    app.first.client.exec("DELETE FROM _dv_ix_chunks");
    app.first.client.prepare("ATTACH ? AS other").run(other.file);
    app.first.client.exec("INSERT INTO _dv_ix_chunks SELECT * FROM other._dv_ix_chunks; DETACH other");
    await expectHealed(app);
  });

  test("head and chunks of another database: its history is not this one's", () => {
    const app = foldedApp();
    const other = madeApp();
    app.first.client.prepare("ATTACH ? AS other").run(other.file);
    app.first.client.exec(
      "DELETE FROM _dv_ix_chunks; INSERT INTO _dv_ix_chunks SELECT * FROM other._dv_ix_chunks; DELETE FROM _dv_ix_head; INSERT INTO _dv_ix_head SELECT * FROM other._dv_ix_head; DETACH other",
    );
    const cold = app.connect();
    expect(app.expectExact(cold)).toMatchObject(certified);
    expect(fold(cold)).toMatchObject({ outcome: "folded", rows: 4300 });
    app.expectExact(app.connect());
  });

  test("chunks nobody names are cleared away", () => {
    const app = foldedApp();
    const { client } = app.first;
    const before = chunks(app.first);
    client.exec(
      "INSERT INTO _dv_ix_chunks SELECT \"column\", generation + 50, part, bytes FROM _dv_ix_chunks; INSERT INTO _dv_ix_chunks VALUES ('v', -3, 0, x'00')",
    );
    app.expectExact(app.connect());
    app.put(0, 1);
    fold(app.first);
    expect(chunks(app.first).filter(({ generation }) => generation < 0)).toEqual([]);
    expect(chunks(app.first)).toHaveLength(before.length + 1);
  });
});

describe("the head", () => {
  test.each([
    "DELETE FROM _dv_ix_head",
    "UPDATE _dv_ix_head SET generation = generation + 1",
    "UPDATE _dv_ix_head SET generation = 0",
    "UPDATE _dv_ix_head SET generation = -1",
    "UPDATE _dv_ix_head SET seq = NULL",
    "UPDATE _dv_ix_head SET nonce = NULL",
    "UPDATE _dv_ix_head SET seq = seq + 1",
    "UPDATE _dv_ix_head SET seq = seq - 1",
    "UPDATE _dv_ix_head SET nonce = nonce + 1",
    "UPDATE _dv_ix_head SET format = 0",
    "UPDATE _dv_ix_head SET \"column\" = 'other'",
  ])("%s", async (sql) => {
    const app = foldedApp();
    app.put(0, 3);
    app.first.client.exec(sql);
    const cold = app.connect();
    expect(app.expectExact(cold)).toMatchObject(certified);
    await optimize(cold.db, app.index);
    const after = app.connect({ readonly: true });
    expect(app.expectExact(after)).toMatchObject(certified);
    expect(after.events).toEqual([]);
    const heads = app.first.client.prepare("SELECT format FROM _dv_ix_head WHERE \"column\" = 'v'").pluck().all();
    expect(heads).toEqual([CHUNK_FORMAT]);
  });
});

describe("what a newer version has written is never overwritten", () => {
  test("a head of a newer format", async () => {
    const app = foldedApp();
    app.first.client.exec("UPDATE _dv_ix_head SET format = 2");
    await expectKept(app);
  });

  test.each(["model", "bits", "manifest"] as const)("a %s of a newer format", async (kind) => {
    const app = foldedApp();
    const [generation, part] = partsOf(app.first)[kind];
    alter(app.first, [generation, part], (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const header = {
        kind,
        owner: ownerOf("ix", "v"),
        unit: BigInt(generation),
        stamp: view.getBigInt64(24, true),
        part,
        count: view.getUint32(36, true),
      };
      return Buffer.from(encodeChunk({ ...header, format: 2 }, Uint8Array.from(bytes.subarray(48))));
    });
    await expectKept(app);
  });

  async function expectKept(app: App): Promise<void> {
    const dump = () => app.first.client.prepare("SELECT * FROM _dv_ix_chunks").raw().all();
    const before = dump();
    const older = app.connect({}, { maintenance: "auto" });
    app.expectExact(older);
    app.put(0, 3);
    app.expectExact(older);
    await expect(optimize(older.db, app.index)).rejects.toThrow(IndexFormatError);
    // A timer for the automatic fold has been set by then, and does as little.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(dump()).toEqual(before);
    expect(older.events.filter(({ code }) => code !== "CORRUPTION")).toEqual([]);
  }
});

describe("a log that somebody has cut or altered", () => {
  const small = () => {
    const app = new App({ rows: 300, dimensions: 4 });
    fold(app.first);
    return app;
  };
  const cuts = [
    ["all of it", "DELETE FROM _dv_ix_log"],
    ["all up to the generation", "DELETE FROM _dv_ix_log WHERE seq <= (SELECT seq FROM _dv_ix_head)"],
    ["the row the generation stands on", "DELETE FROM _dv_ix_log WHERE seq = (SELECT seq FROM _dv_ix_head)"],
    ["a row in the middle", "DELETE FROM _dv_ix_log WHERE seq = (SELECT seq + 2 FROM _dv_ix_head)"],
    ["all but the last", "DELETE FROM _dv_ix_log WHERE seq < (SELECT max(seq) FROM _dv_ix_log)"],
    ["all behind the generation", "DELETE FROM _dv_ix_log WHERE seq > (SELECT seq FROM _dv_ix_head)"],
    ["the last", "DELETE FROM _dv_ix_log WHERE seq = (SELECT max(seq) FROM _dv_ix_log)"],
    [
      "the last, and the row that tells of it, one by one",
      "DELETE FROM _dv_ix_log WHERE seq = (SELECT max(seq) FROM _dv_ix_log); DELETE FROM _dv_ix_log WHERE seq = (SELECT max(seq) FROM _dv_ix_log); DELETE FROM _dv_ix_log WHERE id IS NULL",
    ],
    ["ids that are altered", "UPDATE _dv_ix_log SET id = 250 WHERE seq > (SELECT seq FROM _dv_ix_head)"],
    ["a nonce that is altered", "UPDATE _dv_ix_log SET nonce = 1 WHERE seq = (SELECT max(seq) FROM _dv_ix_log)"],
    [
      "a row put in the place of another, with recursive triggers",
      "PRAGMA recursive_triggers = ON; INSERT OR REPLACE INTO _dv_ix_log (seq, id) SELECT seq + 2, 250 FROM _dv_ix_head",
    ],
  ] as const;

  test.each(cuts)("%s", async (_, sql) => {
    const app = small();
    const live = app.connect();
    app.expectExact(live);
    app.put(0, 5);
    app.expectExact(live);
    app.put(5, 10);
    // It has not seen the last rows, nor has anybody else but the writer.
    app.first.client.exec(sql);
    const told = app.connect();
    for (const connection of [told, told, live]) expect(app.expectExact(connection)).toMatchObject(certified);
    expect(told.events).toEqual([expect.objectContaining(corruption)]);
    expect((await verify(told.db, app.index)).problems).toMatchObject([{ code: "LOG_LOST" }]);
    expect((await status(told.db))[0]!.vectors[0]!.problem).toMatch(/^(the log does not|rows of the log)/);
    app.put(20, 25);
    for (const connection of [app.connect(), live]) expect(app.expectExact(connection)).toMatchObject(certified);
    expect(await optimize(live.db, app.index)).toMatchObject({ rows: 300 });
    const after = app.connect();
    for (const connection of [after, live]) expect(app.expectExact(connection)).toMatchObject(certified);
    expect(after.events).toEqual([]);
    expect(await verify(after.db, app.index)).toMatchObject({ ok: true });
  });

  test("by another driver, while no connection is open", async () => {
    const app = small();
    app.put(0, 5);
    const other = createClient({ url: `file:${app.file}` });
    await other.execute("DELETE FROM _dv_ix_log WHERE seq > (SELECT seq FROM _dv_ix_head)");
    other.close();
    expect(app.expectExact(app.connect())).toMatchObject(certified);
    expect(app.expectExact(app.first)).toMatchObject(certified);
  });

  test("inside a transaction that is rolled back: nothing has happened", () => {
    const app = small();
    app.put(0, 5);
    app.first.client.exec("BEGIN; DELETE FROM _dv_ix_log");
    expect(app.expectExact(app.first)).toMatchObject(certified);
    app.first.client.exec("ROLLBACK");
    const cold = app.connect();
    for (const connection of [cold, app.first]) app.expectExact(connection);
    expect(cold.events).toEqual([]);
  });

  test("an automatic fold heals a cut log, however small the index", async () => {
    const app = new App({ rows: 40 });
    fold(app.first);
    app.put(0, 5);
    app.first.client.exec("DELETE FROM _dv_ix_log");
    const live = app.connect({}, { maintenance: "auto" });
    expect(app.expectExact(live)).toMatchObject(certified);
    await until(() => live.events.some(({ code }) => code === "FOLD"));
    expect(live.events.map(({ code }) => code)).toEqual(["CORRUPTION", "FOLD"]);
    const after = app.connect({ readonly: true });
    expect(app.expectExact(after)).toMatchObject(certified);
    expect(after.events).toEqual([]);
  });

  test("a log without a row, cleared without its trigger, begins again with the next fold", async () => {
    const app = small();
    app.first.client.exec(withoutTriggers(app, "DELETE FROM _dv_ix_log"));
    const cold = app.connect({}, { maintenance: "auto" });
    expect(app.expectExact(cold)).toMatchObject({
      plan: "bare scan",
      fallback: "the log of index ix has been cleared",
    });
    await until(() => cold.events.some(({ code }) => code === "FOLD"));
    expect(app.expectExact(cold)).toMatchObject(certified);
    expect(app.expectExact(app.connect({ readonly: true }))).toMatchObject(certified);
  });

  test("what folds delete of it themselves is no cut", () => {
    const app = small();
    const live = app.connect();
    app.expectExact(live);
    const grow = app.first.client.prepare(
      "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO _dv_ix_log (id) SELECT i % 50 FROM n",
    );
    grow.run();
    fold(app.first);
    const log = app.first.client.prepare("SELECT count(*), count(id) FROM _dv_ix_log").raw();
    expect(log.get()).toEqual([LOG_TAIL + 1, LOG_TAIL + 1]);
    const cold = app.connect();
    for (const connection of [cold, live]) expect(app.expectExact(connection)).toMatchObject(certified);
    expect([...cold.events, ...live.events]).toEqual([]);
  });

  function withoutTriggers({ first: { client } }: App, sql: string): string {
    const triggers = client.prepare("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '_dv_ix_log'");
    const drop = "DROP TRIGGER _dv_ix_logdelete; DROP TRIGGER _dv_ix_logupdate";
    return [drop, sql, ...triggers.pluck().all()].join("; ");
  }
});

test("an automatic fold heals as well, and tells of damage that no query has met", async () => {
  const app = foldedApp();
  const live = app.connect({}, { maintenance: "auto" });
  alter(app.first, partsOf(app.first).bits, (bytes) => {
    bytes[500]! ^= 1;
    return bytes;
  });
  app.expectExact(live);
  expect(live.events).toEqual([]);
  askBoth(app, live);
  await until(() => live.events.some(({ code }) => code === "FOLD"));
  const after = app.connect({ readonly: true });
  expect(app.expectExact(after)).toMatchObject(certified);
  expect(after.events).toEqual([]);
  expect(live.events.map(({ code }) => code)).toEqual(["CORRUPTION", "FOLD"]);

  alter(app.first, partsOf(app.first).model, (bytes) => bytes.subarray(1));
  app.put(0, 1);
  await optimize(live.db, app.index);
  expect(live.events.map(({ code }) => code)).toEqual(["CORRUPTION", "FOLD", "CORRUPTION"]);
  app.expectExact(app.connect());
});

test("a small index that is damaged is healed by itself, though it would not be written by itself", async () => {
  const app = new App({ rows: 40 });
  fold(app.first);
  app.first.client.exec("UPDATE _dv_ix_chunks SET bytes = zeroblob(60)");
  const live = app.connect({}, { maintenance: "auto" });
  app.expectExact(live);
  await until(() => live.events.some(({ code }) => code === "FOLD"));
  const after = app.connect();
  app.expectExact(after);
  expect(after.events).toEqual([]);
});

test("damaged chunks of an index larger than the budget are healed, too", async () => {
  const app = foldedApp();
  alter(app.first, partsOf(app.first).codes, (bytes) => {
    bytes[500]! ^= 1;
    return bytes;
  });
  const live = app.connect({}, { maintenance: "auto", memoryBudget: 0 });
  expect(app.expectExact(live)).toMatchObject({ plan: "bare scan" });
  const strictly = () => nearest(live.db, app.table.v, [1, 2, 3, 4], { strict: true }).all();
  expect(strictly).toThrow(IndexDamagedError);
  await until(() => live.events.some(({ code }) => code === "FOLD"));
  expect(app.expectExact(live)).toMatchObject(certified);
  expect(strictly()).toHaveLength(10);
});

test.each([
  ["codes", 1, "certified scan"],
  ["bits", 0.9, "1-bit scan"],
] as const)(
  "chunks of %s that go bad under a query that streams them: the answer is the table's",
  async (kind, recall, plan) => {
    const app = foldedApp();
    const live = app.connect({}, { memoryBudget: 0 });
    const search = () => nearest(live.db, app.table.v, [1, 2, 3, 4], { recall });
    expect(search().explain()).toMatchObject({ plan, fallback: null });
    alter(app.first, partsOf(app.first)[kind], (bytes) => {
      bytes[500]! ^= 1;
      return bytes;
    });
    expect(search().explain()).toMatchObject({ plan: "bare scan" });
    const strictly = nearest(live.db, app.table.v, [1, 2, 3, 4], { recall, strict: true });
    expect(() => strictly.all()).toThrow(IndexDamagedError);
    expect(app.expectExact(live)).toMatchObject({ plan: "bare scan" });
    expect(live.events.filter(({ code }) => code === "CORRUPTION")).toHaveLength(1);
    await optimize(live.db, app.index);
    expect(search().explain()).toMatchObject({ plan, fallback: null });
  },
);

test("codes that were loaded before the damage go on, and release lets go of them", () => {
  const app = foldedApp();
  const live = app.connect();
  app.expectExact(live);
  app.first.client.exec("DELETE FROM _dv_ix_chunks");
  expect(app.expectExact(live)).toMatchObject(certified);
  expect(live.events).toEqual([]);
  release(live.db);
  expect(nearest(live.db, app.table.v, [1, 2, 3, 4]).all()).toHaveLength(10);
  expect(live.events).toEqual([expect.objectContaining(corruption)]);
});
