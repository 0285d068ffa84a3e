// How good search and hybrid are on the judged sets beside the repository: nDCG@10 and recall@100 of each leg alone and of every
// fusion. Every figure is an answer of the library on a real database.
//   npx tsx quality.ts [queries]           of each set, evenly drawn; default 400, some minutes
//   npx tsx quality.ts [queries] --choose  each fusion with the parameters that are best on the other corpora, on one held out
//   npx tsx quality.ts --only xquad-zh     the sets whose names have this in them
import { parseArgs } from "node:util";
import { evaluate } from "../dist/eval.js";
import { type Fusion, hybrid, linear, rrf, search } from "../dist/index.js";
import { choose } from "./lib/choose-fusion.ts";
import { type Judged, openJudged, type Question, SETS } from "./lib/judged.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { choose: { type: "boolean" }, only: { type: "string", default: "" } },
});
const QUERIES = Number(positionals[0] ?? 400);
const ASKED = SETS.filter(({ name }) => name.includes(values.only));

const FUSIONS: Record<string, Fusion | undefined> = {
  rrf: rrf(),
  "linear 0.5": linear({ weights: { text: 0.5, vector: 0.5 } }),
  "linear 0.7": linear(),
  "zscore 0.6": linear({ normalize: "zscore", weights: { text: 0.6, vector: 0.4 } }),
  "dbsf 0.6": linear({ normalize: "dbsf", weights: { text: 0.6, vector: 0.4 } }),
  // What hybrid does by itself: `shares()` with less weight for beginnings of runs.
  "shares (default)": undefined,
};

if (values.choose) await choose(ASKED, QUERIES);
else await compare();

async function compare(): Promise<void> {
  const rows: Record<string, Record<string, string>> = {};
  const ndcg: Record<string, Record<string, number>> = {};
  for (const set of ASKED) {
    const measured = await measure(set);
    rows[set.name] = Object.fromEntries(
      Object.entries(measured).map(([run, { ndcg: n, recall }]) => [run, `${n.toFixed(3)} / ${recall.toFixed(3)}`]),
    );
    ndcg[set.name] = Object.fromEntries(Object.entries(measured).map(([run, { ndcg: n }]) => [run, n]));
    console.log(set.name, rows[set.name]);
  }
  print(rows);
  summary(ndcg);
}

interface Measured {
  readonly ndcg: number;
  readonly recall: number;
}

async function measure(set: Judged): Promise<Record<string, Measured>> {
  const { client, db, docs, index, questions, qrels } = openJudged(set, QUERIES);
  const select = { name: docs.name };
  const run = async (answer: (question: Question) => { name: string }[]): Promise<Measured> => {
    const { mean } = await evaluate(questions, (question) => answer(question).map(({ name }) => name), qrels, {
      k: [10, 100],
    });
    return { ndcg: mean["ndcg@10"]!, recall: mean["recall@100"]! };
  };
  const plain = client.prepare(
    `select d.name, d.course from _dv_docs_search_fts f join docs d on d.id = f.rowid where f._dv_docs_search_fts match ? order by rank limit ${set.byCourse ? 2000 : 100}`,
  );
  const options = ({ where }: Question) => ({ where, select, limit: 100 });
  const results: Record<string, Measured> = {
    "plain FTS5": await run((question) => {
      const found = plain.all(plainMatch(question.text)) as { name: string; course: string }[];
      return found.filter(({ course }) => question.where === undefined || course === question.course).slice(0, 100);
    }),
    search: await run((question) => search(db, index, question.text, options(question)).all()),
    vector: await run((question) => hybrid(db, index, { vector: question.vector }, options(question)).all()),
  };
  for (const [name, fusion] of Object.entries(FUSIONS)) {
    results[name] = await run((question) =>
      hybrid(db, index, { text: question.text, vector: question.vector }, { ...options(question), fusion }).all(),
    );
  }
  client.close();
  return results;
}

/** Every word quoted and joined with OR: the published baseline. */
function plainMatch(question: string): string {
  const words = question.match(/[\p{L}\p{N}\p{M}\p{Co}]+/gu) ?? [];
  return words.map((word) => `"${word}"`).join(" OR ") || '""';
}

function print(table: Record<string, Record<string, string>>): void {
  const columns = Object.keys(Object.values(table)[0]!);
  console.log(`\n| nDCG@10 / recall@100 | ${columns.join(" | ")} |\n|${" --- |".repeat(columns.length + 1)}`);
  for (const [set, cells] of Object.entries(table)) {
    console.log(`| ${set} | ${columns.map((column) => cells[column]).join(" | ")} |`);
  }
}

/** The mean of each way, and how far it falls behind the better leg where it falls behind most. */
function summary(table: Record<string, Record<string, number>>): void {
  const sets = Object.values(table);
  const names = Object.keys(sets[0]!);
  const better = sets.map((set) => Math.max(set.search!, set.vector!));
  console.log("\n| | mean nDCG@10 | least, against the better leg |\n| --- | --- | --- |");
  for (const name of names) {
    const mean = sets.reduce((sum, set) => sum + set[name]!, 0) / sets.length;
    const least = Math.min(...sets.map((set, i) => set[name]! - better[i]!));
    console.log(`| ${name} | ${mean.toFixed(4)} | ${least.toFixed(4)} |`);
  }
}
