import Table from "cli-table3";
import colors from "picocolors";
import type { Answer, Hit } from "./search.ts";

const WIDTH_MIN = 60;
const WIDTH_MAX = 120;
const DISTANCE_WIDTH = 10;
const SNIPPET_CHARS = 180;

/** The hits as a table as wide as the terminal, and below it how long they took. */
export function formatAnswer({ hits, embedMs, searchMs }: Answer, terminalColumns: number | undefined): string {
  const width = Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, terminalColumns ?? 100));
  const sourceWidth = Math.floor(width / 4);
  const table = new Table({
    head: ["distance", "source", "passage"],
    // Three columns have four borders.
    colWidths: [DISTANCE_WIDTH, sourceWidth, width - DISTANCE_WIDTH - sourceWidth - 4],
    wordWrap: true,
    style: { head: ["cyan"], border: ["gray"] },
  });
  for (const hit of hits) table.push([hit.$distance.toFixed(3), sourceOf(hit), passageOf(hit)]);
  const time = `${hits.length} hits in ${milliseconds(embedMs + searchMs)}`;
  return `${table}\n${colors.dim(`${time} (embedding the question ${milliseconds(embedMs)}, nearest ${milliseconds(searchMs)})`)}`;
}

function sourceOf({ package: name, version, file }: Hit): string {
  // The path from the package's own folder: what comes before is the same for all its files.
  const path = file.slice(file.lastIndexOf(`node_modules/${name}/`)).replace(`node_modules/${name}/`, "");
  return `${colors.bold(name)} ${version}\n${colors.dim(path)}`;
}

function passageOf({ heading, text }: Hit): string {
  const line = text.replace(/\s+/g, " ");
  const snippet = line.length <= SNIPPET_CHARS ? line : `${line.slice(0, line.lastIndexOf(" ", SNIPPET_CHARS))} …`;
  return heading === "" ? snippet : `${colors.green(heading)}\n${snippet}`;
}

export function milliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(1)} ms`;
}
