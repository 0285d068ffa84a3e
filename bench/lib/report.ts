import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { FOLDER } from "./data-set.ts";

/** One row of a table of results. `met` is left out where nothing was aimed at. */
export interface Finding {
  readonly what: string;
  readonly measured: string;
  readonly target?: string;
  readonly met?: boolean;
}

export interface Findings {
  readonly title: string;
  readonly rows: readonly Finding[];
  /** What else a reader of the numbers should know, for scripts: times in ms, counts. */
  readonly values?: Record<string, unknown>;
}

/** Prints the findings as a Markdown table and keeps them as JSON beside the data. */
export function report(name: string, { title, rows, values }: Findings): void {
  console.log(`\n### ${title}\n\n| | measured | target | |\n| --- | --- | --- | --- |`);
  for (const { what, measured, target = "", met } of rows) {
    console.log(`| ${what} | ${measured} | ${target} | ${met === undefined ? "" : met ? "met" : "**missed**"} |`);
  }
  const folder = join(FOLDER, "results");
  mkdirSync(folder, { recursive: true });
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ title, machine, rows, values }, undefined, 2));
}

export function ms(value: number): string {
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ms`;
}

export function seconds(value: number): string {
  return `${(value / 1000).toFixed(2)} s`;
}

export function times(value: number): string {
  return `${value >= 10 ? value.toFixed(1) : value.toFixed(2)}x`;
}
