// What is checked on the packed library, by name. A check throws when it fails; what it returns is printed beside its name.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { app, inRepository, nodeBinary, repository, run, start, tarball, typescriptCompiler } from "./scratch.mjs";

/** What every app that searches prints. */
const ANSWER =
  '{"kernel":"wasm","hits":[{"title":"east","$distance":0},{"title":"north","$distance":1},{"title":"west","$distance":2}]}';

const installed = (dependency) =>
  JSON.parse(readFileSync(join(repository, "node_modules", dependency, "package.json"), "utf8")).version;

const TOOLS = { tsx: "4", "@types/better-sqlite3": installed("@types/better-sqlite3"), "@types/node": "20" };

/** The peers of each app; npm refuses to install versions that our ranges do not allow. */
const PEERS = {
  "drizzle-0.45": {
    "drizzle-orm": "0.45",
    "drizzle-kit": "0.31",
    "better-sqlite3": installed("better-sqlite3"),
    "@libsql/client": installed("@libsql/client"),
    ...TOOLS,
  },
  "drizzle-1.0": {
    "drizzle-orm": "1.0.0-rc.5",
    "drizzle-kit": "1.0.0-rc.5",
    "better-sqlite3": installed("better-sqlite3"),
    "@libsql/client": installed("@libsql/client"),
    ...TOOLS,
  },
  "lowest-0.45": {
    "drizzle-orm": "0.45.0",
    "drizzle-kit": "0.31.0",
    "better-sqlite3": "12.0.0",
    "@libsql/client": "0.10.0",
    ...TOOLS,
  },
  "lowest-1.0": {
    "drizzle-orm": "1.0.0-rc.1",
    "drizzle-kit": "1.0.0-rc.1",
    "better-sqlite3": "12.0.0",
    "@libsql/client": "0.10.0",
    ...TOOLS,
  },
  "node-24": { "drizzle-orm": "0.45", "better-sqlite3": "13" },
  next: {
    "drizzle-orm": "0.45",
    "better-sqlite3": installed("better-sqlite3"),
    next: "16",
    react: "19",
    "react-dom": "19",
  },
};

const appOf = (name) => app(name, PEERS[name]);

/** The checks in the order they run; `quick` ones build nothing native and share one app. */
export const CHECKS = {
  contents: { quick: true, check: contents },
  "schema-imports": { quick: true, check: schemaImports },
  publint: { quick: true, check: async () => void (await run(inRepository("publint"), ["--strict", await tarball()])) },
  attw: { quick: true, check: async () => void (await run(inRepository("attw"), ["--no-color", await tarball()])) },
  esm: { quick: true, check: () => answers("drizzle-0.45", "esm.mjs") },
  cjs: { quick: true, check: () => answers("drizzle-0.45", "cjs.cjs") },
  mixed: { quick: true, check: () => answers("drizzle-0.45", "mixed.mjs") },
  shared: { quick: true, check: () => runs("drizzle-0.45", "shared.mjs") },
  libsql: { quick: true, check: () => answers("drizzle-0.45", "libsql.mjs") },
  esbuild: { quick: true, check: esbuild },
  types: { quick: true, check: () => compiles(inRepository("tsc"), ["drizzle-0.45"]) },
  "kit-0.31": { check: () => migrates("drizzle-0.45") },
  "kit-1.0": { check: () => migrates("drizzle-1.0") },
  "drizzle-1.0": { check: () => answers("drizzle-1.0", "esm.mjs", "cjs.cjs", "mixed.mjs", "libsql.mjs") },
  "types-5.2": { check: async () => compiles(await typescriptCompiler("5.2"), ["drizzle-0.45", "drizzle-1.0"]) },
  "types-latest": { check: async () => compiles(await typescriptCompiler("latest"), ["drizzle-0.45", "drizzle-1.0"]) },
  "node-20": { check: () => answersOn("20.19.0", "drizzle-0.45") },
  "node-24": { check: () => answersOn("24", "node-24") },
  next: { check: next },
  "lowest-0.45": { check: () => worksThroughout("lowest-0.45") },
  "lowest-1.0": { check: () => worksThroughout("lowest-1.0") },
};

/** The tarball holds the build and the documents, nothing of the machine it was made on. */
async function contents() {
  const { path } = await appOf("drizzle-0.45");
  const root = path("node_modules/drizzle-vector");
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  const expected =
    /^(dist\/[\w-]+\.(js|cjs|d\.ts|d\.cts)|(README|ARCHITECTURE|FORMAT|RELIABILITY|CHANGELOG)\.md|bench\/(README\.md|exact-top-10\.svg)|LICENSE|package\.json)$/;
  assert.deepEqual(
    files.filter((file) => !expected.test(file)),
    [],
  );
  assert.deepEqual(
    files.filter((file) => readFileSync(join(root, file), "utf8").includes(repository)),
    [],
  );
  return `${files.length} files`;
}

/** A schema file loads into drizzle-kit and bundlers, so its entry loads Drizzle and our light code, no WASM, no driver. */
async function schemaImports() {
  const { path } = await appOf("drizzle-0.45");
  for (const entry of ["schema.js", "schema.cjs", "kit.js", "kit.cjs"]) {
    const { files, packages } = importGraph(path("node_modules/drizzle-vector/dist", entry));
    assert.deepEqual(
      packages.filter((name) => !/^drizzle-orm(\/sqlite-core)?$/.test(name)),
      [],
      entry,
    );
    assert.deepEqual(
      files.filter((file) => readFileSync(file, "utf8").includes("WebAssembly")),
      [],
      entry,
    );
  }
}

/** A statement at the start of a line or a call: the text of SQL and comments has a `from` of its own. */
const IMPORT = /(?:^(?:import|export)\b[^"'\n]*|\b(?:require|import)\()["'](?<specifier>[^"'\n]+)["']/gm;

function importGraph(entry) {
  const files = [entry];
  const packages = new Set();
  for (const file of files) {
    const code = readFileSync(file, "utf8");
    for (const { groups } of code.matchAll(IMPORT)) {
      const { specifier } = groups;
      if (!specifier.startsWith(".")) packages.add(specifier);
      else if (!files.includes(join(dirname(file), specifier))) files.push(join(dirname(file), specifier));
    }
  }
  return { files, packages: [...packages] };
}

async function answers(name, ...scripts) {
  const { add, node } = await appOf(name);
  add("search.mjs");
  for (const script of scripts) {
    add(script);
    assert.equal((await node(script)).trim(), ANSWER, script);
  }
}

/** An app that checks for itself, and prints its name. */
async function runs(name, script) {
  const { add, node } = await appOf(name);
  add(script);
  assert.equal((await node(script)).trim(), script.replace(".mjs", ""));
}

/** On a Node.js of its own, from the registry. */
async function answersOn(version, name) {
  const node = await nodeBinary(version);
  const { add, cwd } = await appOf(name);
  for (const file of ["search.mjs", "esm.mjs", "cjs.cjs"]) add(file);
  assert.equal((await run(node, ["esm.mjs"], { cwd })).trim(), ANSWER);
  assert.equal((await run(node, ["cjs.cjs"], { cwd })).trim(), ANSWER);
  return `Node.js ${(await run(node, ["--version"])).trim()}`;
}

/**
 * drizzle-kit reads a TypeScript schema, writes a migration once and sees no change afterwards; our command line adds the
 * search index; Drizzle's migrator runs both.
 */
async function migrates(name) {
  const { add, bin, path } = await appOf(name);
  const migrations = () => readdirSync(path("migrations"), { recursive: true }).sort();
  const sqlFiles = () => migrations().filter((file) => file.endsWith(".sql"));
  add("kit", ".");
  await bin("drizzle-kit", ["generate", "--name", "init"]);
  assert.match(readFileSync(path("migrations", sqlFiles()[0]), "utf8"), /`embedding` blob,\s+`code` blob NOT NULL\s/);

  const written = migrations();
  assert.match(await bin("drizzle-kit", ["generate"]), /No schema changes/);
  assert.deepEqual(migrations(), written);

  await bin("drizzle-vector", ["generate", "--name", "search"]);
  assert.equal(sqlFiles().length, 2);
  assert.match(await bin("drizzle-kit", ["generate"]), /No schema changes/);

  assert.equal((await bin("tsx", ["app.ts"])).trim(), ANSWER);
  assert.match(await bin("drizzle-kit", ["push"]), /No changes detected/);
  await bin("drizzle-vector", ["check"]);
}

async function worksThroughout(name) {
  await answers(name, "esm.mjs", "cjs.cjs", "mixed.mjs", "libsql.mjs");
  await migrates(name);
}

/** One file with everything but the driver inside: kernels and threads need no other, whatever names become. */
async function esbuild() {
  const { add, bin, node } = await appOf("drizzle-0.45");
  for (const file of ["search.mjs", "esm.mjs", "threads.mjs"]) add(file);
  const bundled = async (file) => {
    const bundle = [file, "--bundle", "--minify", "--platform=node", "--external:better-sqlite3"];
    await bin("esbuild", [...bundle, "--format=esm", "--outfile=bundle.mjs"]);
    return (await node("bundle.mjs")).trim();
  };
  assert.equal(await bundled("esm.mjs"), ANSWER);
  assert.equal(await bundled("threads.mjs"), '{"threads":2,"isSame":true}');
}

async function next() {
  const { add, bin, path, cwd } = await appOf("next");
  add("search.mjs");
  add("next", ".");
  const env = { NEXT_TELEMETRY_DISABLED: "1" };
  await bin("next", ["build"], env);
  const port = await freePort();
  const server = start(process.execPath, [path("node_modules/next/dist/bin/next"), "start", "-p", String(port)], {
    cwd,
    env,
  });
  try {
    assert.equal(await textFrom(`http://localhost:${port}/search`, server), ANSWER);
  } finally {
    server.child.kill();
    await once(server.child, "close");
  }
}

/** Asks until the server listens. */
async function textFrom(url, server) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (attempt === 100 || server.child.exitCode !== null) throw new Error(server.output(), { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function freePort() {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** The same app in every way of resolving modules that the compiler knows, and one that emits declarations of what it exports. */
async function compiles(tsc, names) {
  const version = (await run(tsc, ["--version"])).match(/\d+\.\d+\.\d+/)[0];
  const modes = [
    ["--module", "node16", "--moduleResolution", "node16", "app.mts", "app.cts"],
    ["--module", "esnext", "--moduleResolution", "bundler", "app.ts"],
  ];
  // Deprecated in TypeScript 6, gone in 7.
  if (Number.parseInt(version, 10) < 6) modes.push(["--module", "commonjs", "--moduleResolution", "node10", "app.ts"]);
  const options = ["--strict", "--skipLibCheck", "--esModuleInterop", "--target", "es2022", "--types", "node"];
  for (const name of names) {
    const { add, cwd } = await appOf(name);
    for (const file of ["app.ts", "app.mts", "app.cts"]) add("types.ts", `types/${file}`);
    for (const file of ["app.ts", "app.mts", "app.cts"]) add("declared.ts", `declared/${file}`);
    for (const mode of modes) {
      await run(tsc, [...options, "--noEmit", ...mode], { cwd: join(cwd, "types") });
      // Older compilers cannot name what better-sqlite3's types give a database either.
      if (version.localeCompare("5.5", undefined, { numeric: true }) < 0) continue;
      await run(tsc, [...options, "--declaration", "--outDir", "out", ...mode], { cwd: join(cwd, "declared") });
    }
  }
  return `TypeScript ${version}`;
}
