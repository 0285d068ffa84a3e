import Table from "cli-table3";
import pc from "picocolors";

/** Rows as a table without lines, the headings in bold; numbers stand to the right. */
export function table(rows: readonly Record<string, string | number | null>[]): string {
  const headings = Object.keys(rows[0] ?? {});
  const isNumber = (heading: string) => rows.every((row) => typeof row[heading] !== "string");
  const text = new Table({
    head: headings.map((heading) => pc.bold(heading)),
    chars: NO_LINES,
    colAligns: headings.map((heading) => (isNumber(heading) ? "right" : "left")),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
  });
  text.push(...rows.map((row) => headings.map((heading) => cell(row[heading]))));
  return text.toString();
}

/** `1,234`; a dash where there is nothing to tell. */
function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "number" ? value.toLocaleString("en-US") : value;
}

/** `1.5 MB`, as disks are sold. */
export function bytesText(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 4);
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

const NO_LINES = {
  ...{ top: "", "top-mid": "", "top-left": "", "top-right": "" },
  ...{ mid: "", "mid-mid": "", "left-mid": "", "right-mid": "" },
  ...{ bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
  ...{ left: "", middle: "", right: "" },
};
