import { type Command, Option } from "commander";
import { type DbLike, driverOf } from "../../driver/driver.ts";
import { storeRecall } from "../../maintenance/store-recall.ts";
import { recordedIndex } from "../../maintenance/target.ts";
import { type TuneOptions, type TuneReport, tuneNaming } from "../../maintenance/tune.ts";
import { type QueryFile, readQueries } from "../query-file.ts";
import { tuneText } from "../tune-text.ts";
import { json, numberArgument, type UpkeepOptions, upkeepCommand, withProgress } from "./upkeep.ts";

interface TuneCommandOptions extends UpkeepOptions {
  column?: string;
  recall?: number;
  limit?: number;
  queries?: string;
  sample?: number;
  seed?: number;
  store?: boolean;
  forget?: boolean;
}

/** `drizzle-vector tune`: what a recall delivers and costs on the rows of a database. Exits 0, or 1 on an error. */
export function tuneCommand(): Command {
  return upkeepCommand<TuneCommandOptions>({
    name: "tune",
    description: "measure recall and time of approximate search on your own rows, and recommend a setting",
    readonly: ({ store, forget }) => !store && !forget,
    failure: 1,
    async run(db, indexes, options, named) {
      const columns = await columnsOf(db, indexes, options, named);
      if (options.forget) return await forget(db, columns, options);
      const file = options.queries === undefined ? undefined : readQueries(options.queries);
      const reports: TuneReport[] = [];
      for (const { index, column } of columns) {
        const title = columns.length > 1 ? `${index}.${column}` : index;
        const wanted = tuneOptions({ ...options, column }, file);
        const work = (progress: object) =>
          tuneNaming(db, index, { ...wanted, ...progress }, file?.nameOf ?? ((query) => `query ${query + 1}`));
        const report = await withProgress(title, work, "queries");
        reports.push(report);
        if (!options.json) console.log(tuneText(report, { isStored: options.store === true }));
      }
      if (options.json) console.log(json(reports));
      return 0;
    },
  })
    .option("--column <name>", "vector column; all of them where none is given")
    .option("--recall <share>", "share of the true nearest rows wanted, 0.5..1 (default: 0.95)", numberArgument)
    .option("--limit <hits>", "hits a query asks for (default: 10)", numberArgument)
    .option("--queries <file>", "your own queries: JSON [[0.1, …], …], or one array a line")
    .addOption(
      new Option("--sample <rows>", "rows drawn as queries (default: 200; 50 for exact: false)")
        .argParser(numberArgument)
        .conflicts("queries"),
    )
    .option("--seed <number>", "of the draw (default: 1)", numberArgument)
    .option("--store", "make the recommendation the default of nearest")
    .addOption(new Option("--forget", "take what was stored away: nearest is exact again").conflicts("store"));
}

interface TunedColumn {
  readonly index: string;
  readonly column: string;
}

/** The columns to go through. An index without vectors is passed over where nobody has named it. */
async function columnsOf(
  db: DbLike,
  indexes: readonly string[],
  { column }: TuneCommandOptions,
  named: boolean,
): Promise<TunedColumn[]> {
  const columns: TunedColumn[] = [];
  for (const index of indexes) {
    const { definition } = await driverOf(db).run(() => recordedIndex({ name: index, declared: undefined }));
    const own = definition.vectors.map((vector) => vector.column);
    // `tune` itself refuses what is not there.
    if (column !== undefined || (own.length === 0 && named)) columns.push({ index, column: column ?? "" });
    else columns.push(...own.map((each) => ({ index, column: each })));
  }
  return columns;
}

function tuneOptions(
  { column, recall, limit, sample, seed, store }: TuneCommandOptions,
  file?: QueryFile,
): TuneOptions {
  const queries = file?.vectors ?? sample;
  return {
    ...(column === undefined ? {} : { column }),
    ...(recall === undefined ? {} : { recall }),
    ...(limit === undefined ? {} : { limit }),
    ...(queries === undefined ? {} : { queries }),
    ...(seed === undefined ? {} : { seed }),
    ...(store === undefined ? {} : { store }),
  };
}

async function forget(db: DbLike, columns: readonly TunedColumn[], options: TuneCommandOptions): Promise<number> {
  for (const { index, column } of columns) {
    await storeRecall(db, index, null, { column });
    if (!options.json) console.log(`${index}.${column}: nearest is exact where a query names no recall`);
  }
  if (options.json) console.log(json(columns.map((column) => ({ ...column, stored: null }))));
  return 0;
}
