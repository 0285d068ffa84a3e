import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const SRC = fileURLToPath(new URL("../../src/", import.meta.url));

interface Import {
  from: string;
  /** A path below src, or the name of a module outside. */
  to: string;
  typeOnly: boolean;
}

/** All static and dynamic imports of a source file, as TypeScript itself reads them. */
function importsOf(file: string): Import[] {
  const source = ts.createSourceFile(file, readFileSync(join(SRC, file), "utf8"), ts.ScriptTarget.Latest);
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean) => {
    const inside = specifier.startsWith(".");
    found.push({
      from: file,
      to: inside ? relative(SRC, join(SRC, dirname(file), specifier)).replaceAll("\\", "/") : specifier,
      typeOnly,
    });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const clause = node.importClause;
      const named =
        clause?.namedBindings && ts.isNamedImports(clause.namedBindings) ? clause.namedBindings.elements : [];
      const onlyTypes = !clause?.name && named.length > 0 && named.every((element) => element.isTypeOnly);
      add((node.moduleSpecifier as ts.StringLiteral).text, clause?.isTypeOnly === true || onlyTypes);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      const named = node.exportClause && ts.isNamedExports(node.exportClause) ? node.exportClause.elements : [];
      const onlyTypes = named.length > 0 && named.every((element) => element.isTypeOnly);
      add((node.moduleSpecifier as ts.StringLiteral).text, node.isTypeOnly || onlyTypes);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      if (argument && ts.isStringLiteral(argument)) add(argument.text, false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const FILES = (readdirSync(SRC, { recursive: true }) as string[])
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts") && !file.startsWith("kernel/assembly/"));
const VALUES = FILES.flatMap(importsOf).filter(({ typeOnly }) => !typeOnly);

/** Everything loaded when `entry` is loaded: files below src and modules outside. */
function loadedBy(entry: string): Set<string> {
  const seen = new Set([entry]);
  for (const file of seen) {
    for (const { from, to } of VALUES) if (from === file) seen.add(to);
  }
  return seen;
}

describe("what drizzle-vector/schema loads", () => {
  const loaded = [...loadedBy("schema.ts")];

  test("of modules outside, drizzle-orm only", () => {
    expect([...new Set(loaded.filter((path) => !path.endsWith(".ts")).map((path) => path.split("/")[0]))]).toEqual([
      "drizzle-orm",
    ]);
  });

  test("of our folders, only the light ones: no WASM, kernel, driver or query", () => {
    const folders = new Set(loaded.filter((path) => path.endsWith(".ts") && path.includes("/")).map(layerOf));
    expect([...folders].filter((folder) => !["schema", "codec", "metric", "migration"].includes(folder))).toEqual([]);
    expect(loaded).toContain("schema/vector-column.ts");
  });

  test("no API of Node is used by what it loads, but Buffer where there is one", () => {
    for (const path of loaded.filter((path) => path.endsWith(".ts"))) {
      const code = readFileSync(join(SRC, path), "utf8");
      expect(code, path).not.toMatch(/\bprocess\.|\brequire\(|\b__dirname\b|\bimport\.meta\b|["']node:/);
      if (/\bBuffer\./.test(code)) expect(code, path).toMatch(/typeof Buffer === "undefined"/);
    }
  });
});

/** The folders from the bottom up; those on one line may use each other. */
const LAYERS = [
  ["errors"],
  ["codec", "metric"],
  ["schema"],
  ["driver", "kernel", "migration"],
  ["vector", "text", "change"],
  ["query", "maintenance", "eval"],
  ["cli", "entry"],
];

function layerOf(path: string): string {
  if (path === "errors.ts") return "errors";
  return path.includes("/") ? path.split("/")[0]! : "entry";
}

describe("the order of imports", () => {
  const inside = VALUES.filter(({ to }) => to.endsWith(".ts"));
  const heightOf = (path: string) => LAYERS.findIndex((layer) => layer.includes(layerOf(path)));

  test("every folder has its place", () => {
    expect([...new Set(FILES.filter((file) => heightOf(file) < 0))]).toEqual([]);
  });

  test("values are imported from the same layer or a lower one", () => {
    const upwards = inside.filter(({ from, to }) => heightOf(to) > heightOf(from));
    expect(upwards.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  test("there are no cycles, inside a folder either", () => {
    const cycles = inside.filter(({ from, to }) => loadedBy(to).has(from));
    expect(cycles.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  test("of modules outside, an app that imports the library loads drizzle-orm only", () => {
    const loaded = new Set(
      ["index.ts", "schema.ts", "kit.ts", "eval.ts"].flatMap((entry) => [entry, ...loadedBy(entry)]),
    );
    const outside = VALUES.filter(
      ({ from, to }) => loaded.has(from) && !to.endsWith(".ts") && !/^drizzle-orm($|\/)/.test(to),
    );
    expect(outside.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });
});
