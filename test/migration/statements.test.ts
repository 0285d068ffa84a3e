import { expect, test } from "vitest";
import { splitStatements, surround } from "../../src/migration/statements.ts";

const kitFile = "CREATE TABLE `a` (`id` integer);\n--> statement-breakpoint\nCREATE TABLE `b` (`id` integer);";

test("our statements stand around those of drizzle-kit, one between two breakpoints", () => {
  const file = surround(kitFile, { before: ["DROP TRIGGER x;"], after: ["CREATE TABLE y (z)"] });
  expect(file).toBe(
    `DROP TRIGGER x;
--> statement-breakpoint
CREATE TABLE \`a\` (\`id\` integer);
--> statement-breakpoint
CREATE TABLE \`b\` (\`id\` integer);
--> statement-breakpoint
CREATE TABLE y (z);
`,
  );
});

test("the comment in an empty custom migration gives way", () => {
  const custom = "-- Custom SQL migration file, put your code below! --";
  expect(surround(custom, { before: [], after: ["DROP TRIGGER x;"] })).toBe("DROP TRIGGER x;\n");
});

test("a breakpoint at the end does not become an empty statement", () => {
  const file = surround("DROP TABLE `a`;\n--> statement-breakpoint\n", { before: [], after: ["SELECT 1;"] });
  expect(splitStatements(file)).toEqual(["DROP TABLE `a`;", "SELECT 1;"]);
});

test("pieces without a statement are left out", () => {
  expect(splitStatements("-- nothing\n--> statement-breakpoint\n/* nor\nhere */\n--> statement-breakpoint\n")).toEqual(
    [],
  );
  expect(splitStatements("-- why\nSELECT '--';")).toEqual(["-- why\nSELECT '--';"]);
});
