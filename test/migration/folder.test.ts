import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readMigrations, rememberFolder } from "../../src/migration/folder.ts";

function folderWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "drizzle-vector-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

test("with a journal the migrations come in its order, files it does not list are not read", () => {
  const folder = folderWith({
    "meta/_journal.json": JSON.stringify({ entries: [{ tag: "0000_a" }, { tag: "0001_b" }] }),
    "0001_b.sql": "B",
    "0000_a.sql": "A",
    "0002_notes.sql": "C",
  });
  expect(readMigrations(folder).map(({ name, sql }) => [name, sql])).toEqual([
    ["0000_a", "A"],
    ["0001_b", "B"],
  ]);
});

test("without a journal each folder with a migration.sql is one, in the order of their names", () => {
  const folder = folderWith({
    "20260102030405_b/migration.sql": "B",
    "20260101000000_a/migration.sql": "A",
    "notes/readme.md": "",
  });
  expect(readMigrations(folder).map(({ name, sql }) => [name, sql])).toEqual([
    ["20260101000000_a", "A"],
    ["20260102030405_b", "B"],
  ]);
});

test("a folder that is not there holds no migrations", () => {
  expect(readMigrations(join(folderWith({}), "none"))).toEqual([]);
});

test("a file the journal names and nobody has is told", () => {
  const folder = folderWith({ "meta/_journal.json": JSON.stringify({ entries: [{ tag: "0000_a" }] }) });
  expect(() => readMigrations(folder)).toThrow("0000_a: expected its file, as the journal lists it, got no such file");
});

test("a remembered folder comes back as it was, byte for byte", () => {
  const folder = folderWith({ "meta/_journal.json": "{}", "0000_a.sql": "A" });
  const restore = rememberFolder(folder);
  writeFileSync(join(folder, "0000_a.sql"), "changed");
  mkdirSync(join(folder, "20260101000000_b"));
  writeFileSync(join(folder, "20260101000000_b/migration.sql"), "B");
  restore();
  expect(readFileSync(join(folder, "0000_a.sql"), "utf8")).toBe("A");
  expect(existsSync(join(folder, "20260101000000_b"))).toBe(false);
});
