// Draws exact-top-10.svg, the plot of the README, from the results of `exact-search.ts --only scan`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ScanValues } from "./exact/scan.ts";
import { FOLDER } from "./lib/data-set.ts";

const OUTPUT = fileURLToPath(new URL("exact-top-10.svg", import.meta.url));

/**
 * Engines of the plot by the beginning of their name, and what a reader should know of them. LanceDB is left out: the version that
 * installs from the lock file is several times slower than a newer one (README.md), and a plot cannot say so.
 */
const ENGINES = [
  { name: "drizzle-vector", label: "drizzle-vector", note: "nearest: typed rows" },
  { name: "usearch", label: "usearch", note: "exactSearch: keys only" },
  { name: "sqlite-vec", label: "sqlite-vec", note: "vec0, joined to rows" },
  { name: "libSQL", label: "libSQL", note: "vector_distance_cos" },
];

// Middle tones only: they stand out from a white page and from a dark one, whatever the reader's system says.
const INK = "#768390";
const OURS = "#2f81f7";
const OTHERS = "#8b949e";
const WIDTH = 760;
const LEFT = 200;
const RIGHT = 120;
const TOP = 62;
const ROW = 40;
const BAR = 20;

const { values } = JSON.parse(readFileSync(join(FOLDER, "results", "scan.json"), "utf8")) as { values: ScanValues };
const found = Object.entries(values).find(([name]) => name.startsWith("like-minilm"));
if (!found) throw new Error("results/scan.json: expected a run on like-minilm; run exact-search.ts --only scan first");
writeFileSync(OUTPUT, draw(...found));
console.log(`wrote ${OUTPUT}`);

function draw(dataSet: string, engines: ScanValues[string]): string {
  const bars = ENGINES.flatMap((engine) => {
    const [, result] = Object.entries(engines).find(([name]) => name.startsWith(engine.name)) ?? [];
    return result ? [{ ...engine, ms: result.ms }] : [];
  }).sort((a, b) => a.ms - b.ms);
  const ours = bars.find(({ name }) => name === "drizzle-vector")!.ms;
  const longest = Math.max(...bars.map(({ ms }) => ms));
  const height = TOP + bars.length * ROW + 12;
  const [, rows, dimensions] = /(\d+)x(\d+)/.exec(dataSet)!;
  const title = `Exact top 10 of ${Number(rows).toLocaleString("en")} × ${dimensions} float32, one query`;
  const spoken = bars.map(({ label, ms }) => `${label} ${told(ms)}`).join(", ");
  const drawn = bars.map(({ name, label, note, ms }, i) => {
    const middle = TOP + i * ROW + ROW / 2;
    const width = Math.max(2, (ms / longest) * (WIDTH - LEFT - RIGHT));
    const isOurs = name === "drizzle-vector";
    const ratio = isOurs ? "" : `, ${(ms / ours).toFixed(ms / ours < 10 ? 1 : 0)}×`;
    const [fill, weight] = isOurs ? [OURS, "600"] : [OTHERS, "400"];
    return `  <text x="${LEFT - 12}" y="${middle - 3}" text-anchor="end" font-weight="600" fill="${isOurs ? OURS : INK}">${label}</text>
  <text x="${LEFT - 12}" y="${middle + 12}" text-anchor="end" font-size="11">${note}</text>
  <rect x="${LEFT}" y="${middle - BAR / 2}" width="${width.toFixed(1)}" height="${BAR}" rx="3" fill="${fill}"/>
  <text x="${(LEFT + width + 8).toFixed(1)}" y="${middle + 5}" font-weight="${weight}" fill="${isOurs ? OURS : INK}">${told(ms)}${ratio}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}: ${spoken}" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14" fill="${INK}">
  <text x="${LEFT}" y="24" font-size="16" font-weight="600">${title}</text>
  <text x="${LEFT}" y="44" font-size="12">median, side by side in one process; less is better</text>
${drawn.join("\n")}
</svg>
`;
}

function told(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}
