import { createHash } from "node:crypto";
import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { cutDeclarations } from "./declarations.ts";
import { cutMarkdown, type Passage } from "./markdown.ts";

/** The documentation of one installed package. Finding it reads no content, so it can be done at every start. */
export interface PackageDocs {
  name: string;
  version: string;
  /** Relative to the folder that holds `node_modules`, with forward slashes, in a stable order. */
  files: string[];
  /** Changes whenever the version, or the path, size or time of any of the files does. */
  fingerprint: string;
}

export interface FilePassage extends Passage {
  file: string;
}

/** Raise it when the same files shall be cut differently: everything is then read again. */
export const CORPUS_VERSION = 1;

/** Files about a package's paperwork rather than its use; readmes in languages that the word model would not mix well. */
const PAPERWORK =
  /^(licen[cs]e|copying|notice|changes|changelog|history|release|security|contribut|governance|authors|code[_-]of|backers|third)/i;
const TRANSLATION = /^readme[._-][a-z]{2}([_-][a-z]{2,4})?\.md$/i;

/** Copies for CommonJS, and what drizzle-orm repeats for each database: this app is on SQLite. */
const REPEATED_FOLDERS = /^(cjs|commonjs|(gel|mysql|pg|singlestore)-(core|proxy))$/;
/** TypeScript declares the whole browser: 8,000 comments about the DOM would drown everything else. */
const UNDECLARED_PACKAGES = new Set(["typescript"]);

/**
 * Finds every package below `root/node_modules` that has Markdown files or type declarations.
 *
 * A package that is installed several times is taken once, from its highest folder: the copy the app itself imports.
 * That rule also ends the walk where symbolic links (pnpm, workspaces) form a circle.
 */
export function findPackages(root: string): PackageDocs[] {
  const packages = new Map<string, PackageDocs>();
  // Breadth first, so that higher folders come before the ones nested in them.
  const pending = [join(root, "node_modules")];
  for (const nodeModules of pending) {
    for (const folder of packageFolders(nodeModules)) {
      const manifest = readManifest(folder);
      if (manifest === undefined || packages.has(manifest.name)) continue;
      packages.set(manifest.name, describe(root, folder, manifest));
      pending.push(join(folder, "node_modules"));
    }
  }
  return [...packages.values()].filter(({ files }) => files.length > 0);
}

/** Reads and cuts the files of a package. A text that several files or overloads repeat counts once. */
export function readPassages(root: string, { files }: PackageDocs): FilePassage[] {
  const passages = new Map<string, FilePassage>();
  for (const file of files) {
    const content = readFileSync(join(root, file), "utf8");
    for (const passage of isMarkdown(file) ? cutMarkdown(content) : cutDeclarations(content)) {
      if (!passages.has(passage.text)) passages.set(passage.text, { file, ...passage });
    }
  }
  return [...passages.values()];
}

/** The path of a file from its package's own folder. */
export function pathInPackage(file: string, name: string): string {
  const folder = `node_modules/${name}/`;
  return file.slice(file.lastIndexOf(folder) + folder.length);
}

function describe(root: string, folder: string, manifest: { name: string; version: string }): PackageDocs {
  const signs = createHash("sha256").update(manifest.version);
  const files = documentsBelow(folder, UNDECLARED_PACKAGES.has(manifest.name) ? isMarkdown : isDocument).map((file) => {
    const { size, mtimeMs } = statSync(file);
    const path = relative(root, file).split(sep).join("/");
    signs.update(`${path} ${size} ${mtimeMs}\n`);
    return path;
  });
  return { ...manifest, files, fingerprint: signs.digest("hex") };
}

/** The folders of packages directly inside a `node_modules`, those of scopes (`@types/node`) included. */
function packageFolders(nodeModules: string): string[] {
  return list(nodeModules).flatMap(({ name }) => {
    if (name.startsWith(".")) return [];
    const folder = join(nodeModules, name);
    return name.startsWith("@") ? list(folder).map((scoped) => join(folder, scoped.name)) : [folder];
  });
}

function readManifest(folder: string): { name: string; version: string } | undefined {
  const file = join(folder, "package.json");
  if (!existsSync(file)) return undefined;
  const { name, version } = JSON.parse(readFileSync(file, "utf8"));
  return typeof name === "string" ? { name, version: String(version ?? "") } : undefined;
}

function documentsBelow(folder: string, isWanted: (name: string) => boolean): string[] {
  const entries = list(folder);
  const names = new Set(entries.map(({ name }) => name));
  return entries.flatMap((entry) => {
    const { name } = entry;
    const path = join(folder, name);
    if (entry.isDirectory()) {
      return name === "node_modules" || REPEATED_FOLDERS.test(name) ? [] : documentsBelow(path, isWanted);
    }
    // `index.d.cts` beside `index.d.ts` says the same again.
    const isTwin = /\.d\.[cm]ts$/.test(name) && names.has(name.replace(/[cm]ts$/, "ts"));
    return entry.isFile() && isWanted(name) && !isTwin ? [path] : [];
  });
}

function isDocument(name: string): boolean {
  return isMarkdown(name) || /\.d\.[cm]?ts$/.test(name);
}

function isMarkdown(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return /\.(md|markdown)$/i.test(name) && !PAPERWORK.test(name) && !TRANSLATION.test(name);
}

/** Entries by name, so that every machine walks in the same order; nothing for a folder that is not there. */
function list(folder: string): Dirent[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}
