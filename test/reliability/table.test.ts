import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), "utf8");

test("every situation in RELIABILITY.md names tests that exist, or says why there is none", () => {
  const rows = [...read("RELIABILITY.md").matchAll(/^\| (\d+) \| .*? \| (.*) \|$/gm)];
  expect(rows.map(([, number]) => Number(number))).toEqual(Array.from({ length: 78 }, (_, i) => i + 1));
  const missing = rows.flatMap(([, number, cell]) =>
    cell!.split("<br>").flatMap((entry) => {
      const [, file, title] = /^`(test\/[^`]+)`: (.+)$/.exec(entry) ?? [];
      if (file === undefined) return entry.startsWith("does not apply: ") ? [] : [`${number}: ${entry}`];
      return read(file).includes(`"${title}"`) ? [] : [`${number}: ${file} has no "${title}"`];
    }),
  );
  expect(missing).toEqual([]);
});

test("its commands are scripts of the package", () => {
  const { scripts } = JSON.parse(read("package.json"));
  const commands = [...read("RELIABILITY.md").matchAll(/npm run (test:\w+)/g)].map(([, name]) => name!);
  const parts = ["test:crash", "test:fuzz", "test:long", "test:model", "test:proof", "test:soak"];
  expect([...new Set(commands)].sort()).toEqual(parts);
  for (const name of commands) expect(scripts[name]).toBeDefined();
});
