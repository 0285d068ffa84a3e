import { describe, expect, test } from "vitest";
import { evaluate, hitAt, ndcgAt, recallAt, reciprocalRankAt } from "../../src/eval.ts";

const judgements = new Map([
  ["a", 3],
  ["b", 0],
  ["c", 1],
]);

describe("measures by hand", () => {
  test("recall is the share of the relevant documents found", () => {
    expect(recallAt(1, ["a", "b", "c"], judgements)).toBe(0.5);
    expect(recallAt(3, ["b", "x", "c"], judgements)).toBe(0.5);
    expect(recallAt(3, ["c", "b", "a"], judgements)).toBe(1);
    expect(recallAt(3, [], judgements)).toBe(0);
    expect(recallAt(3, ["a"], new Map([["a", 0]]))).toBeNaN();
  });

  test("nDCG is the discounted gain over that of the best order", () => {
    // (0 + 3 / log2(3) + 1 / log2(4)) / (3 + 1 / log2(3))
    expect(ndcgAt(3, ["b", "a", "c"], judgements)).toBeCloseTo((3 / Math.log2(3) + 0.5) / (3 + 1 / Math.log2(3)), 12);
    expect(ndcgAt(10, ["a", "c"], judgements)).toBe(1);
    expect(ndcgAt(1, ["c", "a"], judgements)).toBeCloseTo(1 / 3, 12);
    expect(ndcgAt(3, ["a"], new Map())).toBeNaN();
  });

  test("the reciprocal rank is that of the first relevant document, 0 beyond k", () => {
    expect(reciprocalRankAt(3, ["b", "x", "c"], judgements)).toBeCloseTo(1 / 3, 12);
    expect(reciprocalRankAt(2, ["b", "x", "c"], judgements)).toBe(0);
  });

  test("a hit is any relevant document among the first k", () => {
    expect([hitAt(1, ["b", "c"], judgements), hitAt(2, ["b", "c"], judgements)]).toEqual([0, 1]);
  });

  test("a document that is named twice counts once", () => {
    expect(recallAt(3, ["a", "a", "a"], judgements)).toBe(0.5);
    expect(ndcgAt(3, ["a", "a", "c"], judgements)).toBeCloseTo((3 + 0.5) / (3 + 1 / Math.log2(3)), 12);
  });
});

describe("evaluate", () => {
  const queries = [{ id: 1 }, { id: 2 }, { id: 3 }];
  const found: Record<number, number[]> = { 1: [10, 11], 2: [99, 20], 3: [30] };

  test("gives a row a query and the means; queries without a relevant document are left out", async () => {
    const qrels = new Map([
      [1, new Map([[10, 1]])],
      [2, new Map([[20, 1]])],
      [3, new Map([[30, 0]])],
    ]);
    const { queries: count, mean, rows } = await evaluate(queries, ({ id }) => found[id]!, qrels, { k: [1, 2] });
    expect(count).toBe(2);
    expect(rows).toEqual([
      {
        query: 1,
        "recall@1": 1,
        "ndcg@1": 1,
        "mrr@1": 1,
        "hitRate@1": 1,
        "recall@2": 1,
        "ndcg@2": 1,
        "mrr@2": 1,
        "hitRate@2": 1,
      },
      {
        query: 2,
        "recall@1": 0,
        "ndcg@1": 0,
        "mrr@1": 0,
        "hitRate@1": 0,
        "recall@2": 1,
        "ndcg@2": 1 / Math.log2(3),
        "mrr@2": 0.5,
        "hitRate@2": 1,
      },
    ]);
    expect(mean).toMatchObject({ "recall@1": 0.5, "mrr@2": 0.75, "hitRate@2": 1 });
  });

  test("takes plain objects, and searches that are promises", async () => {
    const { mean } = await evaluate(queries, async ({ id }) => found[id]!, { 1: { 10: 1 }, 2: { 20: 2 } });
    expect(mean["hitRate@10"]).toBe(1);
  });

  test.each([
    [[{ id: 10, $score: 1 }], "run: expected document ids, each a text or a number, got Object"],
    [[10, 11n], "run: expected document ids, each a text or a number, got 11n"],
    [undefined, "run: expected an array of document ids, got undefined"],
  ])("refuses %s in the place of ids, which would be found in no judgement", async (results, message) => {
    await expect(evaluate(queries, () => results as any, { 1: { 10: 1 } })).rejects.toThrow(
      expect.objectContaining({ message, hint: "Give the keys of what was found: hits.map(({ id }) => id)." }),
    );
  });

  test.each([
    [[[1, new Map([["10", 1]])]], "run: expected document ids as they are judged: texts, got numbers"],
    [[[1, new Map([[10, Number.NaN]])]], "qrels of 1, 10: expected a grade that is a finite number, got NaN"],
    [[[1, new Map([[10, "2"]])]], 'qrels of 1, 10: expected a grade that is a finite number, got text "2"'],
    [[[1, { 10: 1 }]], "qrels of 1: expected a Map from documents to grades, as qrels is one, got Object"],
  ])("refuses judgements %j, with which every measure would be 0 or NaN", async (entries, message) => {
    await expect(evaluate(queries, ({ id }) => found[id]!, new Map(entries as any) as any)).rejects.toThrow(message);
  });

  test("ids that no judgement names are worth nothing, and so is an empty run; only all of the other type are refused", async () => {
    const qrels = new Map([[1, new Map([[10, 1]])]]);
    for (const results of [[], [77], ["10", 77]])
      await expect(evaluate(queries, () => results, qrels)).resolves.toMatchObject({ mean: { "ndcg@10": 0 } });
  });

  test.each([
    [{ K: 5 }, "K: expected an option of evaluate: k, got K"],
    [null, "options: expected an object such as { k: 5 }, got null"],
    [{ k: [] }, "k: expected whole numbers from 1 up, got none"],
    [{ k: "10" }, 'k: expected whole numbers from 1 up, got text "10"'],
  ])("refuses the options %j", async (options, message) => {
    await expect(evaluate(queries, () => [], { 1: { 10: 1 } }, options as any)).rejects.toThrow(message);
  });

  test("refuses judgements that fit no query, and a k that is none", async () => {
    const run = ({ id }: { id: number }) => found[id]!;
    await expect(evaluate(queries, run, new Map([["1", new Map([[10, 1]])]]))).rejects.toThrow(
      "qrels: expected a relevant document",
    );
    await expect(evaluate(queries, run, { 1: { 10: 1 } }, { k: 0 })).rejects.toThrow(
      "k: expected whole numbers from 1 up, got 0",
    );
    await expect(
      evaluate([{ id: "__proto__" }], () => [], JSON.parse('{"__proto__": {"a": 1}}')),
    ).resolves.toMatchObject({ queries: 1 });
  });
});
