import { SingleBar } from "cli-progress";
import { Command, InvalidArgumentError } from "commander";
import { installedIn } from "../../change/attachment.ts";
import { type DbLike, driverOf } from "../../driver/driver.ts";
import { DrizzleVectorError } from "../../errors.ts";
import type { LongWorkOptions } from "../../maintenance/slices.ts";
import { connect } from "../connect.ts";
import { sqliteErrorIn, unreadable } from "../database-file.ts";
import { exitingWith, reportError } from "../report.ts";

/** The options that `status`, `verify` and `rebuild` share. */
export interface UpkeepOptions {
  config?: string;
  db?: string;
  json?: boolean;
}

interface Upkeep<TOptions extends UpkeepOptions> {
  name: string;
  description: string;
  /** Whether the database is opened for reading only. */
  readonly: boolean | ((options: TOptions) => boolean);
  /** The exit code of an error. */
  failure: number;
  /** Does the work on the indexes named, or on all that the database records; returns the exit code. */
  run(db: DbLike, indexes: string[], options: TOptions, isNamed: boolean): Promise<number>;
}

/** A command on a database: connects, runs, closes, and turns errors into an exit code. */
export function upkeepCommand<TOptions extends UpkeepOptions = UpkeepOptions>({
  name,
  description,
  readonly,
  failure,
  run,
}: Upkeep<TOptions>): Command {
  return exitingWith(failure, new Command(name))
    .description(description)
    .argument("[index...]", "names of search indexes; all where none is given")
    .option("--config <file>", "drizzle config file")
    .option("--db <file>", "database file, instead of dbCredentials.url")
    .option("--json", "print the result as JSON")
    .action(async (named: string[], options: TOptions) => {
      try {
        const isReadOnly = typeof readonly === "boolean" ? readonly : readonly(options);
        const { db, place, close } = await connect({ ...options, readonly: isReadOnly });
        try {
          const indexes = named.length > 0 ? named : await recorded(db);
          if (indexes.length === 0 && !options.json) console.log("No search index in this database");
          process.exitCode = await run(db, indexes, options, named.length > 0);
        } catch (error) {
          const isTold = error instanceof DrizzleVectorError;
          throw !isTold && sqliteErrorIn(error) ? unreadable(place, error) : error;
        } finally {
          close();
        }
      } catch (error) {
        reportError(error);
        process.exitCode = failure;
      }
    });
}

async function recorded(db: DbLike): Promise<string[]> {
  const { indexes } = await driverOf(db).run(() => installedIn());
  return indexes.filter(({ record }) => record !== undefined).map(({ name }) => name);
}

/** Columns of a terminal that the numbers beside a bar take at most. */
const BAR_TEXT = 44;

/** Does long work under a bar on stderr, where that is a terminal. */
export async function withProgress<T>(
  title: string,
  work: (options: LongWorkOptions) => Promise<T>,
  unit = "rows",
): Promise<T> {
  const bar = new SingleBar({
    format: `${title} {bar} {percentage}% of {total} ${unit}, {eta_formatted} left`,
    // What a signal would leave behind in the terminal: a hidden cursor, and lines that are cut instead of wrapped.
    hideCursor: false,
    linewrap: true,
    barsize: Math.max(4, Math.min(40, (process.stderr.columns ?? 80) - title.length - BAR_TEXT)),
    clearOnComplete: true,
  });
  let isStarted = false;
  try {
    return await work({
      onProgress: ({ done, total }) => {
        if (isStarted) bar.setTotal(total);
        else bar.start(total, 0);
        isStarted = true;
        bar.update(done);
      },
    });
  } finally {
    if (isStarted) bar.stop();
  }
}

/** Does the same long work on one index after the other, under a bar, and tells what was done. */
export function onEach<T extends { index: string; rows: number; ms: number }>(
  work: (db: DbLike, index: string, options: LongWorkOptions) => Promise<T>,
  doneText: (rows: string) => string,
): Upkeep<UpkeepOptions>["run"] {
  return async (db, indexes, options) => {
    const results: T[] = [];
    for (const index of indexes) results.push(await withProgress(index, (progress) => work(db, index, progress)));
    if (options.json) console.log(json(results));
    else {
      for (const { index, rows, ms } of results) {
        console.log(`${index}: ${doneText(rows.toLocaleString("en-US"))} in ${(ms / 1000).toFixed(1)} s`);
      }
    }
    return 0;
  };
}

/** Keys may be larger than a number of JSON can be. */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part), 2);
}

/** An argument that has to be a number; what kind of number is the business of the function that is called. */
export function numberArgument(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("Not a number.");
  return value;
}
