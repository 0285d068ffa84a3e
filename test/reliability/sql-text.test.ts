import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";

const SOURCES = new URL("../../src/", import.meta.url);
const SQL =
  /^\s*(select|insert( or \w+)? into|update|delete from|(create|drop)( virtual| temp| unique)? (table|trigger|view)|alter table|pragma|attach)\b/i;
/** A name as it came: of a table, a column, an index, or a value. */
const RAW = /(^|\.)(name|tableName|columnName)$|\.(table|column|index|key|value|text|tokenizer|collation)$/;
/** Those that stand in double quotes as they are. */
const CONSTANT = /^[A-Z][A-Z_]*$/;

/** What is wrong with how a template puts names into SQL. */
function faultsOf(template: ts.TemplateExpression): string[] {
  if (!SQL.test(template.head.text)) return [];
  return template.templateSpans.flatMap(({ expression }, i) => {
    const before = i === 0 ? template.head.text : template.templateSpans[i - 1]!.literal.text;
    const text = expression.getText();
    if (/['"`[]$/.test(before) && !CONSTANT.test(text)) return [`${text} between quotes written by hand`];
    return RAW.test(text) ? [`${text} without quotes`] : [];
  });
}

function faultsIn(name: string, code: string): string[] {
  const file = ts.createSourceFile(name, code, ts.ScriptTarget.Latest, true);
  const faults: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTemplateExpression(node)) faults.push(...faultsOf(node).map((fault) => `${name}: ${fault}`));
    node.forEachChild(visit);
  };
  visit(file);
  return faults;
}

test("no name gets into SQL but through identifier() or literal(), and no value but as a parameter", () => {
  const names = (readdirSync(SOURCES, { recursive: true }) as string[]).filter((name) => name.endsWith(".ts"));
  expect(names.length).toBeGreaterThan(100);
  expect(names.flatMap((name) => faultsIn(name, readFileSync(new URL(name, SOURCES), "utf8")))).toEqual([]);
});

/** A table, view or CTE of the user's by that name would be read in its place: `eponymous` names them. */
const BARE = /(\b(from|join|FROM|JOIN)|,)\s+(json_each|json_tree|pragma_\w+|dbstat|fts5vocab|generate_series)\b/;

test("SQLite's table-valued functions are named by eponymous()", () => {
  const names = (readdirSync(SOURCES, { recursive: true }) as string[]).filter((name) => name.endsWith(".ts"));
  expect(names.filter((name) => BARE.test(readFileSync(new URL(name, SOURCES), "utf8")))).toEqual([]);
  expect("SELECT 1 FROM t JOIN json_each(?)").toMatch(BARE);
});

test("such a name would be found", () => {
  const [opening, closing] = ["${", "}"];
  const code = [
    `SELECT * FROM ${opening}table.name${closing}`,
    `DELETE FROM "${opening}table${closing}"`,
    `no SQL about ${opening}name${closing}`,
  ];
  expect(faultsIn("x.ts", code.map((one) => `\`${one}\``).join(";"))).toEqual([
    "x.ts: table.name without quotes",
    "x.ts: table between quotes written by hand",
  ]);
});
