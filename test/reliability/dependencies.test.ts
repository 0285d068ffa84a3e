import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Lock, type LockedPackage, productionPackages } from "../../scripts/production-packages.ts";
import { temporaryFolder } from "../helpers/databases.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const lock: Lock = JSON.parse(read("package-lock.json"));
const manifestOf = ({ path }: LockedPackage) => JSON.parse(read(`${path}/package.json`));

const LICENSES = ["MIT", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "BlueOak-1.0.0"];
const INSTALLING = ["preinstall", "install", "postinstall"];

/** What an installation should not bring along. */
function objectionsTo(one: LockedPackage, manifest: { license?: unknown; scripts?: Record<string, string> }): string[] {
  const { name, integrity, license, hasInstallScript } = one;
  return [
    ...(/^sha512-[\w+/]{86}==$/.test(integrity ?? "") ? [] : [`${name} has no hash`]),
    ...[license, manifest.license]
      .filter((given) => !LICENSES.includes(String(given)))
      .map((given) => `${name} has the license ${given}`),
    ...(hasInstallScript || INSTALLING.some((script) => manifest.scripts?.[script]) ? [`${name} runs a script`] : []),
  ];
}

describe("what an installation brings along", () => {
  const packages = productionPackages(lock);

  test("is named in the README, with what it is for", () => {
    const { dependencies } = JSON.parse(read("package.json"));
    const paragraph = read("README.md")
      .split("\n\n")
      .find((text) => text.startsWith("Runtime dependencies"))!;
    for (const name of Object.keys(dependencies)) expect(paragraph).toContain(`\`${name}\``);
  });

  test("is in RELIABILITY.md at the version for which advisories were looked up", () => {
    const table = [...read("RELIABILITY.md").matchAll(/^\| `([^`]+)` (\S+) \|/gm)].map(([, name, version]) => [
      name,
      version,
    ]);
    expect(table).toEqual(packages.map(({ name, version }) => [name, version]));
  });

  test("runs no script when it is installed, has a hash in the lock, and a license that asks for nothing but its name", () => {
    expect(packages.flatMap((one) => objectionsTo(one, manifestOf(one)))).toEqual([]);
  });

  test("would be objected to else", () => {
    const [one] = packages;
    const other = { ...one!, license: "GPL-3.0", integrity: "sha1-abc=", hasInstallScript: true };
    const objections = ["@colors/colors has no hash", "@colors/colors has the license GPL-3.0"];
    expect(objectionsTo(other, { license: "MIT" })).toEqual([...objections, "@colors/colors runs a script"]);
    expect(objectionsTo(one!, { scripts: { postinstall: "node x" } })).toEqual([
      "@colors/colors has the license undefined",
      "@colors/colors runs a script",
    ]);
  });

  test("is found as Node.js finds it, the nearest first, and without peers and tools", () => {
    const found = productionPackages({
      packages: {
        "": { dependencies: { a: "1" } },
        "node_modules/a": { version: "1.0.0", dependencies: { b: "1" }, optionalDependencies: { c: "1" } },
        "node_modules/a/node_modules/b": { version: "1.0.0", dependencies: { c: "2", "@d/b": "1" } },
        "node_modules/b": { version: "2.0.0" },
        "node_modules/c": { version: "1.0.0" },
        "node_modules/a/node_modules/b/node_modules/c": { version: "2.0.0" },
        "node_modules/@d/b": { version: "3.0.0", dependencies: { b: "2" } },
      },
    });
    expect(found.map(({ path, version }) => `${path} ${version}`).sort()).toEqual([
      "node_modules/@d/b 3.0.0",
      "node_modules/a 1.0.0",
      "node_modules/a/node_modules/b 1.0.0",
      "node_modules/a/node_modules/b/node_modules/c 2.0.0",
      "node_modules/b 2.0.0",
      "node_modules/c 1.0.0",
    ]);
    expect(() => productionPackages({ packages: { "": { dependencies: { a: "1" } } } })).toThrow(
      "no a, which the library",
    );
  });
});

describe("npm run audit", () => {
  /** A registry that answers for advisories as it is told, or not at all. */
  async function audit(
    advisories: Record<string, unknown[]> | undefined,
  ): Promise<{ code: number | null; output: string }> {
    const server = createServer((request, response) => {
      request.resume();
      if (request.method === "POST") {
        response.writeHead(advisories === undefined ? 405 : 200, { "content-type": "application/json" });
        return response.end(advisories === undefined ? "" : JSON.stringify(advisories));
      }
      const name = decodeURIComponent(request.url!.slice(1));
      const entry = lock.packages[`node_modules/${name}`] ?? {};
      const version = entry.version ?? "1.0.0";
      response.writeHead(200, { "content-type": "application/json" });
      response.end(
        JSON.stringify({ name, "dist-tags": { latest: version }, versions: { [version]: { ...entry, name } } }),
      );
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    onTestFinished(() => void server.close());
    const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const child = spawn(process.execPath, ["node_modules/tsx/dist/cli.mjs", "scripts/audit.ts"], {
      env: { ...process.env, npm_config_registry: registry, npm_config_cache: temporaryFolder() },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    const code = await new Promise<number | null>((done) => child.on("close", done));
    return { code, output };
  }

  const advisory = (severity: string, vulnerable_versions: string) => ({
    id: 1,
    title: "Eats CPU",
    url: "https://github.com/advisories/GHSA-0000",
    severity,
    vulnerable_versions,
  });

  test("fails for an advisory of severity high, not for one of another version or a lesser one", async () => {
    expect(await audit({})).toEqual({
      code: 0,
      output: `${productionPackages(lock).length} packages asked for, 0 with advisories.\n`,
    });
    const high = await audit({ commander: [advisory("high", "<15")] });
    expect(high.output).toContain(
      `high: commander ${lock.packages["node_modules/commander"]!.version}: Eats CPU (<15), https:`,
    );
    expect(high.code).toBe(1);
    expect((await audit({ commander: [advisory("critical", "<14.0.0")] })).code).toBe(0);
    const low = await audit({ "ansi-regex": [advisory("moderate", "*")] });
    expect(low.output).toContain("moderate: ansi-regex");
    expect(low.code).toBe(0);
  });

  test("says that nothing is known where the registry has no advisories", async () => {
    const { code, output } = await audit(undefined);
    expect(code).toBe(2);
    expect(output).toContain(
      "Nothing is known: the registry answers no question for advisories (405 Method Not Allowed",
    );
  });
});
