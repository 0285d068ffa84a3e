import { closeSync, copyFileSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../helpers/databases.ts";
import type { Shape } from "../model/shapes.ts";
import { APP_NAMES, APPS, createApp, randomStatement } from "../reliability/app.ts";
import { seeded } from "../reliability/random.ts";
import { figures, LONG_MS, rounds, SEED } from "../reliability/rounds.ts";
import { expectFileInStep } from "../reliability/witness.ts";

/** Runs a statement of an app; SQLite may refuse it. */
function attempt(client: Database.Database, random: () => number, app: Shape): void {
  try {
    client.exec(randomStatement(random, app));
  } catch (error) {
    expect((error as { code: string }).code).toMatch(/^SQLITE_CONSTRAINT/);
  }
}

const count = "INSERT INTO acknowledged VALUES (1, 1) ON CONFLICT (writer) DO UPDATE SET n = n + 1";
const counted = "SELECT coalesce(max(n), 0) FROM acknowledged";

const DAMAGES = {
  cut: (wal: Buffer, at: number) => wal.subarray(0, at),
  "a sector of zeros in": (wal: Buffer, at: number) => Buffer.from(wal).fill(0, at, Math.min(wal.length, at + 512)),
  "a flipped bit in": (wal: Buffer, at: number) => {
    const damaged = Buffer.from(wal);
    damaged[at]! ^= 1 << (at % 8);
    return damaged;
  },
};

describe.each(APP_NAMES)("the power is cut under an app with %s keys", (name) => {
  const app = APPS[name];

  test.each(Object.entries(DAMAGES))(
    "46: %s the WAL, and a consistent beginning of what was written is there, index and all",
    async (_, damage) => {
      const random = seeded(SEED + 17);
      const folder = temporaryFolder();
      const [live, cut] = [join(folder, "live.db"), join(folder, "cut.db")];
      const counts = { wals: 0, statesSeen: 0 };
      const seen = new Set<number>();
      createApp(live, name, "wal");
      const client = new Database(live);
      client.pragma("wal_autocheckpoint = 0");
      try {
        for (const round of rounds(4, 0.25 / 6)) {
          // Now and then the WAL begins anew.
          if (round % 40 === 0) {
            client.pragma("wal_checkpoint(TRUNCATE)");
            for (let i = 0; i < 25; i++) {
              client.transaction(() => {
                for (let j = 0; j < 6; j++) attempt(client, random, app);
                client.exec(count);
              })();
            }
          }
          const wal = readFileSync(`${live}-wal`);
          for (const suffix of ["", "-wal", "-shm"]) rmSync(cut + suffix, { force: true });
          copyFileSync(live, cut);
          writeFileSync(`${cut}-wal`, damage(wal, 32 + Math.floor(random() * (wal.length - 32))));
          await expectFileInStep(cut, app, (reopened) => {
            seen.add(reopened.prepare(counted).pluck().get() as number);
          });
          counts.wals++;
        }
      } finally {
        client.close();
      }
      counts.statesSeen = seen.size;
      expect(seen.size).toBeGreaterThan(1);
      figures(`damaged WALs, ${name}`, counts);
    },
    LONG_MS,
  );

  test(
    "47: pages that a hot rollback journal protects are torn, and the state before the transaction comes back",
    async () => {
      const random = seeded(SEED + 23);
      const folder = temporaryFolder();
      const [live, cut] = [join(folder, "live.db"), join(folder, "cut.db")];
      const counts = { journals: 0, pages: 0 };
      createApp(live, name, "delete", 400);
      const client = new Database(live);
      client.pragma("synchronous = FULL");
      client.pragma("cache_size = 8");
      try {
        for (const _ of rounds(5, 0.15 / 2)) {
          const before = client.prepare(counted).pluck().get() as number;
          // A transaction too large for the cache: part of it is in the file already, and the journal knows what was there.
          client.exec("BEGIN");
          for (let i = 0; i < 60; i++) attempt(client, random, app);
          client.exec(count);
          for (const suffix of ["", "-journal"]) rmSync(cut + suffix, { force: true });
          copyFileSync(live, cut);
          if (existsSync(`${live}-journal`)) copyFileSync(`${live}-journal`, `${cut}-journal`);
          const torn = tear(cut, random);
          await expectFileInStep(cut, app, (reopened) => expect(reopened.prepare(counted).pluck().get()).toBe(before));
          counts.pages += torn;
          counts.journals += Number(torn > 0);
          if (client.inTransaction) client.exec("COMMIT");
        }
      } finally {
        client.close();
      }
      expect(counts.pages).toBeGreaterThan(0);
      figures(`hot journals, ${name}`, counts);
    },
    LONG_MS,
  );
});

/**
 * Writes garbage over half of the pages a journal keeps; gives their number.
 *
 * | journal at | holds |
 * | --- | --- |
 * | 0 | magic, 8 bytes |
 * | 8, 20, 24 | number of records, sector size, page size |
 * | sector size | records: page number, page, checksum |
 */
function tear(file: string, random: () => number): number {
  const journal = existsSync(`${file}-journal`) ? readFileSync(`${file}-journal`) : Buffer.alloc(0);
  if (journal.length < 512 || journal.readUInt32BE(0) !== 0xd9d505f9) return 0;
  const [records, sector, page] = [journal.readInt32BE(8), journal.readUInt32BE(20), journal.readUInt32BE(24)];
  const size = readFileSync(file).length;
  const target = openSync(file, "r+");
  let torn = 0;
  for (let i = 0; i < records; i++) {
    const at = sector + i * (page + 8);
    if (at + page + 8 > journal.length) break;
    const number = journal.readUInt32BE(at);
    if (number < 2 || number * page > size || random() < 0.5) continue;
    const within = Math.floor(random() * (page / 512)) * 512;
    writeSync(target, Buffer.alloc(512, 0xee), 0, 512, (number - 1) * page + within);
    torn++;
  }
  closeSync(target);
  return torn;
}
