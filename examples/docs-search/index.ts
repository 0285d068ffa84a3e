import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { count } from "drizzle-orm";
import { ZeroQueryError } from "drizzle-vector";
import colors from "picocolors";
import { type Db, openDatabase } from "./database.ts";
import type { Embedder } from "./embedder.ts";
import { endpointEmbedder, endpointFromEnvironment } from "./endpoint-embedder.ts";
import { ingest } from "./ingest.ts";
import { lsaEmbedder } from "./lsa-embedder.ts";
import { formatAnswer, milliseconds } from "./print.ts";
import { createProgress } from "./progress.ts";
import { packages, passages } from "./schema.ts";
import { ask, type SearchOptions } from "./search.ts";

interface Options {
  db: string;
  limit: number;
  package?: string;
  rebuild?: boolean;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DATABASE = fileURLToPath(new URL("./docs.db", import.meta.url));

const SAMPLES = [
  "watch files for changes",
  "show a progress bar in the terminal",
  "how to write a custom sqlite column type",
];
const SAMPLE_LIMIT = 3;

const program = new Command("npm run demo --")
  .description("Searches the documentation of every package in node_modules by meaning.")
  .argument("[question...]", "what you want to know; without it, three sample questions")
  .option("-l, --limit <number>", "how many hits", wholeNumber, 5)
  .option("-p, --package <name>", "search one package only")
  .addOption(new Option("--db <file>", "the SQLite file").default(DATABASE, "docs.db beside the demo"))
  .option("--rebuild", "start over with an empty database")
  .addHelpText(
    "after",
    `
Embeddings are computed here, by latent semantic analysis. To use an OpenAI-compatible endpoint instead, set
  DEMO_EMBEDDINGS_URL    for instance http://localhost:11434/v1
  DEMO_EMBEDDINGS_MODEL  for instance nomic-embed-text
  DEMO_EMBEDDINGS_KEY    if it needs one`,
  )
  .action(run);

try {
  await program.parseAsync();
} catch (error) {
  const { message, hint } = error as Error & { hint?: string };
  console.error(colors.red(message) + (hint === undefined ? "" : `\n${hint}`));
  process.exitCode = 1;
}

async function run(question: string[], options: Options): Promise<void> {
  const endpoint = endpointFromEnvironment(process.env);
  const db = openDatabase(options.db);
  try {
    const embedder = endpoint === undefined ? lsaEmbedder(db) : endpointEmbedder(endpoint);
    await bringUpToDate(db, embedder, options.rebuild);
    checkPackage(db, options.package);

    if (question.length > 0) {
      await answer(db, embedder, question.join(" "), options);
      return;
    }
    for (const sample of SAMPLES) await answer(db, embedder, sample, { ...options, limit: SAMPLE_LIMIT });
    console.log(`\nNow ask yourself: ${colors.bold('npm run demo -- "how do I define a foreign key"')}`);
  } finally {
    db.$client.close();
  }
}

async function bringUpToDate(db: Db, embedder: Embedder, rebuild: boolean | undefined): Promise<void> {
  const start = performance.now();
  const progress = createProgress(process.stderr);
  try {
    const report = await ingest(db, embedder, { root: ROOT, rebuild, onProgress: progress.update });
    const total = db.select({ packages: count() }).from(packages).get()!.packages;
    const news = report.changedPackages === 0 ? "nothing new" : `+${report.addedPassages} −${report.removedPassages}`;
    const size = `${db.select({ all: count() }).from(passages).get()!.all.toLocaleString("en")} passages of ${total} packages`;
    console.log(
      colors.dim(`${size}, embedded by ${embedder.name}; ${news} (${milliseconds(performance.now() - start)})`),
    );
  } finally {
    progress.stop();
  }
}

/** A package that is not there would look like a question without an answer. */
function checkPackage(db: Db, name: string | undefined): void {
  if (name === undefined) return;
  const names = db
    .select({ name: packages.name })
    .from(packages)
    .orderBy(packages.name)
    .all()
    .map((row) => row.name);
  if (names.includes(name)) return;
  const similar = names.filter((other) => other.includes(name) || sharedStart(other, name) >= 3).slice(0, 5);
  const hint = similar.length > 0 ? ` Did you mean ${similar.join(", ")}?` : "";
  throw new Error(`No documentation of a package "${name}" is installed.${hint}`);
}

function sharedStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

async function answer(db: Db, embedder: Embedder, question: string, options: SearchOptions): Promise<void> {
  console.log(`\n${colors.bold(question)}`);
  try {
    const found = await ask(db, embedder, question, options);
    console.log(formatAnswer(question, found, process.stdout.columns));
  } catch (error) {
    if (!(error instanceof ZeroQueryError)) throw error;
    console.log("None of these words occurs in the documentation, so nothing is near. Try to say it in other words.");
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Expected a whole number from 1 up.");
  return value;
}
