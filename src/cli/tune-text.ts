import pc from "picocolors";
import plot from "simple-ascii-chart";
import type { TuneReport } from "../maintenance/tune.ts";
import type { TuneSetting } from "../maintenance/tune-setting.ts";
import { bytesText, table } from "./table.ts";

/**
 * A report for people: a table, a plot of time over the recall that was found, and what is recommended.
 *
 * @param options.isStored - whether it was to be stored
 */
export function tuneText(report: TuneReport, { isStored }: { isStored: boolean }): string {
  const { index, column, rows, limit, queries, settings, recommendation } = report;
  const count = queries.count.toLocaleString("en-US");
  const from =
    queries.from === "given"
      ? `${count} ${queries.count === 1 ? "query" : "queries"} of yours`
      : `${count} rows as queries, seed ${queries.seed}`;
  const what = recommendation.recall === 1 ? "exact search" : `recall: ${recommendation.recall}`;
  return [
    `${pc.bold(`${index}.${column}`)}: ${rows.toLocaleString("en-US")} vectors, limit ${limit}, ${from}, recall ${report.recall} wanted\n`,
    table(settings.map(rowOf)),
    chart(settings),
    ...fallbacks(settings),
    `${pc.green("recommended")} ${pc.bold(what)}: ${recommendation.reason}`,
    storedText(report, isStored),
  ].join("\n");
}

/** Why the index was not asked: exact search of 1-bit codes alone is no surprise. */
function fallbacks(settings: readonly TuneSetting[]): string[] {
  const reasons = new Set(settings.flatMap(({ recall, fallback }) => (recall < 1 && fallback ? [fallback] : [])));
  return [...reasons].map((reason) => `${pc.yellow("-")} answered from the table: ${reason}`);
}

function storedText({ index, column, recommendation, stored }: TuneReport, isStored: boolean): string {
  const now =
    stored === null
      ? "nearest is exact where a query names no recall"
      : `nearest goes by recall ${stored} where a query names none`;
  const command = `drizzle-vector tune ${index} --column ${column}`;
  const hint = pc.dim("hint");
  if (isStored) {
    return `${pc.green("stored")}      ${now}${stored === null ? "" : `; \`${command} --forget\` takes it away`}`;
  }
  if (recommendation.recall === (stored ?? 1)) return `${hint}        ${now}`;
  return `${hint}        ${now}; \`${command} --store\` stores what is recommended`;
}

function rowOf({ recall, plan, measured, ms, rowsRescored, bytesRead }: TuneSetting) {
  return {
    recall: recall === 1 ? "exact" : String(recall),
    found: measured.mean.toFixed(4),
    "worst 5 %": measured.p5.toFixed(2),
    "median ms": ms.median.toFixed(2),
    "p95 ms": ms.p95.toFixed(2),
    "re-scored": rowsRescored,
    read: bytesText(bytesRead),
    plan,
  };
}

/** Above this ratio of times the slowest alone would be seen; then the plot is logarithmic. */
const LINEAR_MAX = 20;

/** Time over the recall that was found, one point a setting. */
function chart(settings: readonly TuneSetting[]): string {
  const recalls = settings.map(({ measured }) => measured.mean);
  // A clock that stood still has no power of ten.
  const times = settings.map(({ ms }) => Math.max(ms.median, 0.001));
  const least = Math.min(...recalls);
  // Points one above the other are no plot.
  if (least === 1) return "";
  const [fastest, slowest] = [Math.min(...times), Math.max(...times)];
  const isLinear = slowest < fastest * LINEAR_MAX;
  const heightOf = (ms: number) => (isLinear ? ms : Math.log10(ms));
  const bottom = isLinear ? 0 : Math.floor(Math.log10(fastest));
  const top = isLinear ? slowest : Math.ceil(Math.log10(slowest));
  const points = recalls.map((recall, i) => [recall, heightOf(times[i]!)] as [number, number]);
  return plot(points, {
    mode: "point",
    width: 60,
    height: 10,
    yRange: [bottom, top],
    customXAxisTicks: [least, (least + 1) / 2, 1],
    customYAxisTicks: isLinear ? [0, top / 2, top] : Array.from({ length: top - bottom + 1 }, (_, i) => bottom + i),
    formatter: (value, { axis }) => (axis === "x" ? value.toFixed(4) : timeText(isLinear ? value : 10 ** value)),
    xLabel: "share of the true nearest rows found",
  });
}

function timeText(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}
