import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { ConfigError } from "../errors.ts";

/**
 * The files behind `schema` in drizzle.config, found as drizzle-kit finds them: files, globs, and folders, whose own files
 * count but not those of folders within.
 *
 * @throws {ConfigError} when nothing matches
 */
export async function schemaFiles(root: string, schema: readonly string[]): Promise<string[]> {
  const found = await Promise.all(schema.map((pattern) => matches(root, pattern)));
  const files = [...new Set(found.flat().flatMap(filesAt))];
  if (files.length > 0) return files;
  throw new ConfigError({
    subject: "schema",
    expected: "at least one file",
    got: `none for ${schema.join(", ")}`,
    hint: "paths are taken from the folder the command runs in",
  });
}

async function matches(root: string, pattern: string): Promise<string[]> {
  // Most apps name a file, and need no globs.
  if (!/[*?[\]{}()!\\]/.test(pattern)) return [resolve(root, pattern)].filter((path) => existsSync(path));
  const { glob } = await import("tinyglobby");
  const found = await glob(pattern.replace(/^\.\//, ""), {
    cwd: root,
    absolute: true,
    dot: true,
    expandDirectories: false,
    onlyFiles: false,
  });
  return found.map((path) => resolve(path)).sort();
}

function filesAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(path, entry.name))
    .sort();
}
