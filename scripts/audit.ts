import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { type Lock, productionPackages } from "./production-packages.ts";

/**
 * Asks the registry for advisories against what an installation of the library brings along.
 *
 * Exits 0 where there is none of severity high or critical, 1 where there is, and 2 where the registry has none to ask for, as
 * mirrors often do: then nothing is known.
 */
const FAILING = ["high", "critical"];

interface Vulnerability {
  readonly severity: string;
  readonly nodes: readonly string[];
  readonly via: readonly (string | { readonly title: string; readonly url: string; readonly range: string })[];
}

const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as Lock;
const own = new Map(productionPackages(lock).map((one) => [one.path, one]));
const { stdout, stderr } = spawnSync("npm", ["audit", "--omit=dev", "--json"], { encoding: "utf8" });
const report = parsed(stdout);

if (!report?.vulnerabilities) {
  console.log(
    `Nothing is known: the registry answers no question for advisories (${report?.message ?? stderr.trim()}).`,
  );
  process.exitCode = 2;
} else {
  const found = Object.values(report.vulnerabilities).flatMap((one) =>
    one.nodes.flatMap((path) => (own.has(path) ? [{ ...one, ...own.get(path)! }] : [])),
  );
  for (const { name, version, severity, via } of found) {
    const reasons = via.map((reason) =>
      typeof reason === "string" ? `by ${reason}` : `${reason.title} (${reason.range}), ${reason.url}`,
    );
    console.log(`${severity}: ${name} ${version}: ${reasons.join("; ")}`);
  }
  console.log(`${own.size} packages asked for, ${found.length} with advisories.`);
  process.exitCode = found.some(({ severity }) => FAILING.includes(severity)) ? 1 : 0;
}

function parsed(text: string): { message?: string; vulnerabilities?: Record<string, Vulnerability> } | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
