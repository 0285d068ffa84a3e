import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { distance, type Element, type Metric, nearest, registerFunctions, vectorColumn } from "../../src/index.ts";
import { openBetterSqlite3 } from "../helpers/databases.ts";
import { hasSharedData, readJson } from "../helpers/shared-data.ts";

/** One call of pgvector's regression tests, with what it gives or the error it throws. */
interface Call {
  file: string;
  sql: string;
  args: string[];
  fn?: string;
  op?: string;
  cast?: string;
  result?: string;
  error?: string;
}

const ELEMENT_OF_FILE: Record<string, Element> = { vector_type: "float32", halfvec: "float16", bit: "bit" };

/** Functions and operators that are distances here, too. `inner_product` is the dot distance with the other sign. */
const METRIC_OF: Record<string, { metric: Metric; sign?: -1 }> = {
  l2_distance: { metric: "l2" },
  "<->": { metric: "l2" },
  cosine_distance: { metric: "cosine" },
  "<=>": { metric: "cosine" },
  inner_product: { metric: "dot", sign: -1 },
  "<#>": { metric: "dot" },
  hamming_distance: { metric: "hamming" },
};

/** Where this library answers otherwise, and why. */
const DIFFERENCES: Record<string, { got: number | string; why: string }> = {
  "SELECT l2_distance('[3e38]'::vector, '[-3e38]')": {
    got: 6.0000000109955115e38,
    why: "sums are float64, so that they do not overflow",
  },
  "SELECT inner_product('[3e38]'::vector, '[3e38]')": {
    got: 9.000000032986535e76,
    why: "sums are float64, so that they do not overflow",
  },
  "SELECT cosine_distance('[3e38]'::vector, '[3e38]')": {
    got: 0,
    why: "sums are float64, so that they do not overflow",
  },
  "SELECT cosine_distance('[1,2]'::vector, '[0,0]')": { got: 1, why: "a stored zero vector has cosine distance 1" },
  "SELECT cosine_distance('[1,2]'::halfvec, '[0,0]')": { got: 1, why: "a stored zero vector has cosine distance 1" },
  "SELECT hamming_distance('', '')": { got: "INVALID_DECLARATION", why: "a column has at least one dimension" },
  "SELECT '[1,2,3]'::vector(16001)": { got: "DIMENSION_MISMATCH", why: "a column has up to 16384 dimensions" },
  "SELECT '[1,2,3]'::halfvec(16001)": { got: "DIMENSION_MISMATCH", why: "a column has up to 16384 dimensions" },
};

/** The numbers in pgvector's text; bits as they are written, filled up to whole bytes with zeros. */
function parse(text: string, element: Element): number[] {
  if (element === "bit") {
    return Array.from(text.padEnd(Math.ceil(text.length / 8) * 8, "0"), Number);
  }
  const inner = text.trim().slice(1, -1).trim();
  return inner === "" ? [] : inner.split(",").map(Number);
}

function tableOf(dimensions: number, element: Element) {
  const { db, client } = openBetterSqlite3();
  client.exec("create table t (id integer primary key, v blob)");
  registerFunctions(db);
  return {
    db,
    t: sqliteTable("t", {
      id: integer().primaryKey(),
      v: vectorColumn({ dimensions, element, mode: element === "bit" ? "typed" : "array" }),
    }),
  };
}

/** The second vector stored, the first as the query; `nearest` and `distance` must agree. */
function measure({ args }: Call, element: Element, metric: Metric): number {
  const [query, stored] = args.map((text) => parse(text, element)) as [number[], number[]];
  const { db, t } = tableOf(stored.length, element);
  db.insert(t)
    .values({ v: stored as any })
    .run();
  const [hit] = nearest(db, t.v as any, query as any, { metric: metric as any }).all();
  const d = distance(t.v as any, query as any, metric as any);
  const [row] = db.select({ d }).from(t).all();
  expect(row!.d).toBe(hit!.$distance);
  return hit!.$distance;
}

/** Stores a list in a column of so many dimensions and reads it back. */
function store({ cast, args }: Call, element: Element): unknown {
  const values = parse(args[0]!, element);
  const declared = /\((\d+)\)/.exec(cast!)?.[1];
  const { db, t } = tableOf(declared === undefined ? Math.max(values.length, 1) : Number(declared), element);
  db.insert(t)
    .values({ v: values as any })
    .run();
  return db.select({ v: t.v }).from(t).all()[0]!.v;
}

function outcome(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined) throw error;
    return code;
  }
}

if (!hasSharedData) {
  test.skip("pgvector's cases are not compared: the evaluation data is not beside this clone", () => {});
} else {
  const calls: Call[] = readJson("conformance/pgvector.json").filter(({ file }: Call) => file in ELEMENT_OF_FILE);
  const expectedOf = (call: Call, otherwise: unknown) => DIFFERENCES[call.sql]?.got ?? otherwise;
  const short = (call: Call) => [call.sql.replace(/[01]{60,}/g, (bits) => `${bits.length} bits`), call] as const;

  const distances = calls.filter(({ fn, op }) => (fn ?? op ?? "") in METRIC_OF);
  test("48 distances and 8 refusals are compared", () => {
    expect(distances.filter(({ error }) => error === undefined)).toHaveLength(48);
    expect(distances.filter(({ error }) => error !== undefined)).toHaveLength(8);
  });

  describe("distances are those of pgvector", () => {
    test.each(distances.map(short))("%s", (_, call) => {
      const element = ELEMENT_OF_FILE[call.file]!;
      const { metric, sign } = METRIC_OF[call.fn ?? call.op!]!;
      if (call.error !== undefined) {
        expect(call.error).toMatch(/^different (vector|halfvec) dimensions|^different bit lengths/);
        // Bits are not filled up here: that would make three of them as long as two.
        const lengths = call.args.map((text) => (element === "bit" ? text.length : parse(text, element).length));
        const { t } = tableOf(element === "bit" ? 8 : lengths[0]!, element);
        const given = new Array(lengths[1]).fill(1);
        expect(outcome(() => distance(t.v as any, given as any, metric as any))).toBe("DIMENSION_MISMATCH");
        return;
      }
      const got = outcome(() => measure(call, element, metric));
      const published = sign === -1 && typeof got === "number" ? 0 - got : got;
      expect(published).toEqual(expectedOf(call, Number(call.result)));
    });
  });

  // Text is no input of this library: what pgvector refuses as a malformed literal has no counterpart.
  const casts = calls.filter(({ cast, error }) => cast !== undefined && !error?.startsWith("invalid input syntax"));

  describe("values are stored, rounded and refused as by pgvector", () => {
    test.each(casts.map(short))("%s", (_, call) => {
      const element = ELEMENT_OF_FILE[call.file]!;
      const got = outcome(() => store(call, element));
      if (call.error === undefined) {
        expect(got).toEqual(parse(call.result!, element).map(Math.fround));
        return;
      }
      const code = /not allowed in|is out of range/.test(call.error)
        ? "INVALID_VECTOR"
        : /must have at least 1 dimension|expected 2 dimensions, not 3/.test(call.error)
          ? "DIMENSION_MISMATCH"
          : "INVALID_DECLARATION";
      expect(got).toBe(expectedOf(call, code));
    });
  });

  test("what else pgvector tests is not offered: other distances, arithmetic, aggregates, comparison, slices", () => {
    const rest = calls.filter(({ fn, op }) => (fn ?? op) !== undefined && !((fn ?? op)! in METRIC_OF));
    expect([...new Set(rest.map(({ fn, op }) => fn ?? op))].sort()).toEqual([
      "!=",
      "*",
      "+",
      "-",
      "<",
      "<+>",
      "<=",
      "=",
      ">",
      ">=",
      "binary_quantize",
      "halfvec_accum",
      "halfvec_avg",
      "halfvec_cmp",
      "jaccard_distance",
      "l1_distance",
      "l2_norm",
      "l2_normalize",
      "subvector",
      "unnest",
      "vector_accum",
      "vector_avg",
      "vector_cmp",
      "vector_combine",
      "vector_dims",
      "vector_norm",
      "||",
    ]);
  });
}
