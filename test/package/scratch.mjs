// Scratch apps in a temporary folder that install the packed library as its users do.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const templates = fileURLToPath(new URL("apps", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "drizzle-vector-package-"));

export function removeScratch() {
  rmSync(folder, { recursive: true, force: true });
}

/** Runs a command to its end and gives what it printed; throws with that when it fails. */
export async function run(command, args, { cwd = repository, env = {} } = {}) {
  const { child, output } = start(command, args, { cwd, env });
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} (exit code ${code})\n${output()}`);
  return output();
}

/** Starts a command without an input; `output()` is what it has printed so far. */
export function start(command, args, { cwd, env = {} }) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  const collect = (text) => {
    printed += text;
  };
  child.stdout.setEncoding("utf8").on("data", collect);
  child.stderr.setEncoding("utf8").on("data", collect);
  return { child, output: () => printed };
}

/** The path of the packed library, made once. */
export const tarball = once(async () => {
  await run("npm", ["pack", "--pack-destination", folder]);
  const { name, version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  return join(folder, `${name}-${version}.tgz`);
});

const apps = new Map();

/**
 * A folder with files of `apps/` that has the library and `dependencies` (name -> version) installed; checks that ask for
 * the same name share it. Install scripts do not run: better-sqlite3 gets its binary from `nativeBinary`.
 */
export function app(name, dependencies = {}) {
  if (!apps.has(name)) apps.set(name, install(name, dependencies));
  return apps.get(name);
}

async function install(name, dependencies) {
  const cwd = join(folder, name);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "package.json"), JSON.stringify({ name: "scratch-app", private: true }));
  const wanted = Object.entries(dependencies).map(([dependency, version]) => `${dependency}@${version}`);
  await run(
    "npm",
    ["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", await tarball(), ...wanted],
    { cwd },
  );
  const sqlite = join(cwd, "node_modules/better-sqlite3");
  if (existsSync(sqlite)) await provideBinary(sqlite);
  return {
    cwd,
    path: (...parts) => join(cwd, ...parts),
    /** Copies a file or folder of `apps/` to the root of the app. */
    add: (template, to = template) => cpSync(join(templates, template), join(cwd, to), { recursive: true }),
    write: (file, text) => writeFileSync(join(cwd, file), text),
    /** Runs a program of one of the installed packages. */
    bin: (program, args, env) => run(join(cwd, "node_modules/.bin", program), args, { cwd, env }),
    node: (...args) => run(process.execPath, args, { cwd }),
  };
}

/** A program of the repository's own tools. */
export const inRepository = (program) => join(repository, "node_modules/.bin", program);

/** The path of a Node.js binary, from the registry. */
export const nodeBinary = (version) => tool("node", version);

/** The path of a TypeScript compiler, from the registry. */
export const typescriptCompiler = (version) => tool("typescript", version, "tsc");

async function tool(name, version, program = name) {
  const cwd = join(folder, `${name}@${version}`);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "package.json"), JSON.stringify({ private: true }));
  await run("npm", ["install", "--no-audit", "--no-fund", `${name}@${version}`], { cwd });
  return join(cwd, "node_modules/.bin", program);
}

const BINARY = "build/Release/better_sqlite3.node";
const built = new Map();

/** Building better-sqlite3 takes a minute, so each version is built once; the repository's own is there already. */
async function provideBinary(sqlite) {
  const { version } = JSON.parse(readFileSync(join(sqlite, "package.json"), "utf8"));
  // From version 13 on the binaries come inside the package.
  if (Number.parseInt(version, 10) >= 13) return;
  if (!built.has(version)) built.set(version, build(sqlite, version));
  const binary = await built.get(version);
  if (binary === join(sqlite, BINARY)) return;
  mkdirSync(dirname(join(sqlite, BINARY)), { recursive: true });
  cpSync(binary, join(sqlite, BINARY));
}

async function build(sqlite, version) {
  const own = join(repository, "node_modules/better-sqlite3");
  if (version === JSON.parse(readFileSync(join(own, "package.json"), "utf8")).version) return join(own, BINARY);
  await run("npm", ["rebuild", "better-sqlite3"], { cwd: join(sqlite, "../..") });
  return join(sqlite, BINARY);
}

function once(make) {
  let made;
  return () => {
    made ??= make();
    return made;
  };
}
