// Chooses a fusion without the corpus it is measured on: of each family the parameters that are best on all other corpora, and
// what they are worth on the one held out. Best is what gains most over the better leg, in the mean and where it gains least.
import { ndcgAt } from "../../dist/eval.js";
import { type Fusion, hybrid, linear, rrf, shares } from "../../dist/index.js";
import { type Judged, openJudged, type Question } from "./judged.ts";

type Leg = Parameters<Fusion["parts"]>[0][number];

/** Fusions of one kind with their parameters. */
type Family = Record<string, Fusion>;

const SHARES = [0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1];
const TEXT_WEIGHTS = [0.5, 0.55, 0.6, 0.65, 0.7];
const weights = (text: number) => ({ text, vector: 1 - text });

const FAMILIES: Record<string, Family> = {
  "one leg": { text: linear({ weights: weights(1) }), vector: linear({ weights: weights(0) }) },
  rrf: family(
    [10, 20, 60, 100].flatMap((rankConstant) =>
      SHARES.map((text) => [`${rankConstant}, ${text}`, rrf({ rankConstant, weights: weights(text) })]),
    ),
  ),
  minmax: family(SHARES.map((text) => [`${text}`, linear({ weights: weights(text) })])),
  zscore: family(SHARES.map((text) => [`${text}`, linear({ normalize: "zscore", weights: weights(text) })])),
  dbsf: family(SHARES.map((text) => [`${text}`, linear({ normalize: "dbsf", weights: weights(text) })])),
  shares: family(
    TEXT_WEIGHTS.flatMap((text) =>
      [1.5, 2, 2.5, 3].map((sharpness) => [`${text}, ${sharpness}`, shares({ weights: weights(text), sharpness })]),
    ),
  ),
  "shares, weight alone": family(TEXT_WEIGHTS.map((text) => [`${text}`, shares({ weights: weights(text) })])),
  "shares (default)": { "": shares() },
};

/** What both legs say of the candidates of one question. */
interface Asked {
  readonly question: Question;
  readonly names: readonly string[];
  readonly ids: readonly number[];
  readonly legs: readonly Leg[];
  /** What `hybrid` by default takes of the weight of text, 0..1. */
  readonly trust: number;
}

export async function choose(sets: readonly Judged[], queries: number): Promise<void> {
  /** nDCG@10 of every fusion on every set. */
  const table = sets.map((set) => {
    const { client, asked, qrels } = legsOf(set, queries);
    client.close();
    const judged = asked.filter(({ question }) =>
      [...(qrels.get(question.id)?.values() ?? [])].some((grade) => grade > 0),
    );
    const meanOf = (fusion: Fusion) =>
      mean(judged.map((one) => ndcgAt(10, fused(one, fusion), qrels.get(one.question.id)!)));
    const figures = Object.fromEntries(
      Object.entries(FAMILIES).map(([name, members]) => [
        name,
        new Map(Object.entries(members).map(([parameters, fusion]) => [parameters, meanOf(fusion)])),
      ]),
    );
    console.log(`${set.name}: ${judged.length} queries`);
    return { set, figures };
  });

  const corpora = [...new Set(sets.map(({ folder }) => folder))];
  const families = Object.keys(FAMILIES);
  console.log(`\n| held out | better leg | ${families.join(" | ")} |\n|${" --- |".repeat(families.length + 2)}`);
  const gains = new Map(families.map((name) => [name, [] as number[]]));
  for (const corpus of corpora) {
    const chosen = families.map((name) => {
      const others = table.filter(({ set }) => set.folder !== corpus);
      return bestOf(name, others);
    });
    for (const { set, figures } of table.filter(({ set: { folder } }) => folder === corpus)) {
      const better = Math.max(...figures["one leg"]!.values());
      const cells = families.map((name, i) => {
        const figure = figures[name]!.get(chosen[i]!)!;
        gains.get(name)!.push(figure - better);
        return `${figure.toFixed(3)}${chosen[i] === "" ? "" : ` (${chosen[i]})`}`;
      });
      console.log(`| ${set.name} | ${better.toFixed(3)} | ${cells.join(" | ")} |`);
    }
  }
  const row = (title: string, of: (values: number[]) => number) =>
    console.log(`| ${title} | | ${families.map((name) => signed(of(gains.get(name)!))).join(" | ")} |`);
  row("mean, against the better leg", mean);
  row("least, against the better leg", (values) => Math.min(...values));
}

/**
 * The parameters with the most gain over the better leg: in the mean over the corpora, each counting the same however many sets
 * it makes, and in the set with the least. By the mean alone they follow the corpora there are, by the least alone a single set.
 */
function bestOf(
  name: string,
  table: readonly { readonly set: Judged; readonly figures: Record<string, Map<string, number>> }[],
): string {
  const corpora = [...new Set(table.map(({ set }) => set.folder))];
  const worth = (parameters: string) => {
    const gains = table.map(({ set, figures }) => ({
      corpus: set.folder,
      gain: figures[name]!.get(parameters)! - Math.max(...figures["one leg"]!.values()),
    }));
    const means = corpora.map((corpus) => mean(gains.filter((one) => one.corpus === corpus).map(({ gain }) => gain)));
    return mean(means) + Math.min(...gains.map(({ gain }) => gain));
  };
  return Object.keys(FAMILIES[name]!).reduce((best, one) => (worth(one) > worth(best) ? one : best));
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** The names of the candidates in the order of a fusion, ties by id, as `hybrid` orders them. */
function fused({ legs, names, ids, trust }: Asked, fusion: Fusion): string[] {
  const active = legs.filter(({ ranks }) => ranks.some((rank) => rank > 0));
  // As if it were the default, whose weight of text depends on how the text was understood.
  const parts = fusion.parts(active, ({ kind }) => (kind === "text" ? trust : 1) * (fusion.weights[kind] ?? 0));
  const scores = names.map((_, at) => parts.reduce((sum, part) => sum + part[at]!, 0));
  const order = names.map((_, at) => at).sort((a, b) => scores[b]! - scores[a]! || ids[a]! - ids[b]!);
  return order.slice(0, 10).map((at) => names[at]!);
}

/**
 * Asks both legs of the library once a question, through a fusion that keeps what it is given. At most 100 rows come back of up
 * to 200 candidates, so the second half is asked for in the order turned round.
 */
function legsOf(set: Judged, queries: number) {
  const { client, db, docs, index, questions, qrels } = openJudged(set, queries);
  const asked = questions.map((question): Asked => {
    let legs: readonly Leg[] = [];
    const inOrder = (sign: number): Fusion => ({
      name: "as they come",
      weights: { text: 1, vector: 1 },
      parts(given) {
        legs = given;
        return given.map(({ scores }, leg) => scores.map((_, at) => (leg === 0 ? sign * at : 0)));
      },
    });
    const query = { text: question.text, vector: question.vector };
    const options = { where: question.where, select: { id: docs.id, name: docs.name }, limit: 100 };
    const rows = (sign: number) => hybrid(db, index, query, { ...options, fusion: inOrder(sign) }).all();
    const first = rows(-1);
    const last = rows(1);
    const weight = hybrid(db, index, query, options)
      .explain()
      .legs.find(({ leg }) => leg === "text")!.weight;
    const count = legs[0]?.scores.length ?? 0;
    const all = [...first, ...last.reverse().slice(first.length + last.length - count)];
    const trust = weight / shares().weights.text!;
    return { question, names: all.map(({ name }) => name), ids: all.map(({ id }) => id), legs, trust };
  });
  return { client, asked, qrels };
}

function family(members: readonly (readonly [string, Fusion] | (string | Fusion)[])[]): Family {
  return Object.fromEntries(members) as Family;
}

function signed(value: number): string {
  return `${value < 0 ? "" : "+"}${value.toFixed(4)}`;
}
