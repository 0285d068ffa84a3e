import { SEQ_MAX } from "../change/log.ts";
import type { Driver, Row, Steps } from "../driver/driver.ts";
import { hashOf, type IndexDefinition } from "../migration/definition.ts";
import { type Identity, identityOf, LAST_ID } from "../migration/identity.ts";
import { findIndex, findTable } from "../migration/installed.ts";
import { damagedRecord, isBlocking, type Problem } from "../migration/problems.ts";
import { identifier } from "../migration/sql-text.ts";
import { isSameName, namesOf } from "../schema/names.ts";
import { type CodedRowsInput, codedRows } from "./coded-rows.ts";
import { contradicted, doWithout } from "./coded-vectors.ts";
import { contentOf, damageIn, textDamage } from "./fts.ts";
import { inSlices } from "./slices.ts";
import { count, firstRow, type RecordedIndex, recordedIndex, type Target } from "./target.ts";
import type { VerifyProblem, VerifyReport } from "./verify-report.ts";

/** Tables, triggers and what the registry says; the objects are looked at again by each slice. */
export function* checkStructure(target: Target, report: VerifyReport): Steps<boolean> {
  const { record, definition, installed, problems } = yield* recordedIndex(target);
  const { declared, name } = target;
  for (const damage of damagedRecord(findIndex(installed, name)!)) report.add(problemOf(damage));
  if (declared && hashOf(declared) !== record.hash) {
    const message = `index ${name} is declared otherwise in the code than the database records it`;
    report.add({ code: "DECLARATION_DIFFERS", message });
  }
  if (record.pending === "text")
    report.add({ code: "TEXT_PENDING", message: `the text of index ${name} is not filled yet` });
  yield* checkLog(definition, problems, report);
  return definition.text !== null;
}

function* checkLog(
  { name, vectors }: IndexDefinition,
  problems: readonly Problem[],
  report: VerifyReport,
): Steps<void> {
  const { log, head } = namesOf(name).tables;
  // Where the table itself is not as recorded, nobody has looked whether the rest is there.
  if (vectors.length === 0 || problems.some(isBlocking) || !isUsable(problems, log, head)) return;
  // Without an entry, or behind the largest number of all, nobody can follow it.
  const [count] = (yield* firstRow(
    `SELECT count(*) FROM (SELECT max(seq) AS last FROM ${identifier(log)}) WHERE last < ${SEQ_MAX}`,
  ))!;
  // A generation covers the log up to a row it remembers by number and nonce. Behind it no number is missing, and no row says
  // that every row may differ: a reset takes generations away, and a trigger leaves such a row where some were deleted.
  const behind = `FROM ${identifier(log)} AS l WHERE l.seq > h.seq`;
  const lost = `SELECT count(*) FROM ${identifier(head)} AS h WHERE h.seq IS NOT NULL AND (NOT EXISTS (SELECT 1 FROM ${identifier(log)} AS l WHERE l.seq = h.seq AND l.nonce = h.nonce) OR (SELECT count(l.id) < max(l.seq) - h.seq ${behind}))`;
  const [cut] = (yield* firstRow(lost))!;
  if (Number(count) === 0 || Number(cut) > 0) {
    report.add({ code: "LOG_LOST", message: `the log of index ${name} was emptied, cut or altered` });
  }
  const heads: Row[] = yield { type: "rows", sql: `SELECT "column" FROM ${identifier(head)}`, params: [] };
  for (const { column } of vectors.filter(({ column }) => !heads.some(([own]) => own === column))) {
    report.add({ code: "HEAD_MISSING", message: `table ${head} has no row for column ${column}` });
  }
}

/** Compares the rows and texts from an id on; gives the id to go on from, or undefined at the end. */
export function* compareSlice(
  target: Target,
  from: bigint,
  limit: number,
  report: VerifyReport,
): Steps<bigint | undefined> {
  const found = yield* recordedIndex(target);
  for (const problem of found.problems) report.add(problemOf(problem));
  const parts = partsOf(found);
  if (!parts) return undefined;
  const { definition, identity } = parts;
  if (!parts.text) {
    report.rows = yield* count(identity.rows);
    return undefined;
  }
  try {
    return yield* compareText(
      { definition, identity, from, limit, isPending: found.record.pending === "text" },
      report,
    );
  } catch (error) {
    report.add({
      code: "TEXT_DAMAGED",
      message: `the text of index ${definition.name} cannot be read: ${damageIn(error)}`,
    });
    return undefined;
  }
}

interface Range {
  readonly definition: IndexDefinition;
  readonly identity: Identity;
  readonly from: bigint;
  readonly limit: number;
  readonly isPending: boolean;
}

function* compareText(
  { definition, identity, from, limit, isPending }: Range,
  report: VerifyReport,
): Steps<bigint | undefined> {
  const { id, ids, rows } = identity;
  const content = `${contentOf(definition.name)} AS f`;
  const nth = (expression: string, source: string) =>
    `SELECT nth.id AS id FROM (SELECT ${expression} AS id FROM ${source} WHERE ${expression} >= ${from} ORDER BY 1 LIMIT 1 OFFSET ${limit - 1}) AS nth`;
  // As far as `limit` rows or `limit` texts reach, whichever is less far; NULL: neither has so many.
  const [last] = (yield* firstRow(
    `SELECT CAST(min(id) AS TEXT) FROM (${nth(id, ids)} UNION ALL ${nth("f.id", content)})`,
  ))!;
  const to = last === null ? LAST_ID : BigInt(String(last));

  // The copy is kept byte by byte, so that it is compared so, whatever the column's collation.
  const differs = definition
    .text!.columns.map(({ column }, i) => `f.c${i} IS NOT r.${identifier(column)} COLLATE BINARY`)
    .join(" OR ");
  const isStale = `f.id IS NOT NULL AND (${differs})`;
  const compared = yield* firstRow(
    `SELECT count(*), sum(f.id IS NULL), CAST(min(CASE WHEN f.id IS NULL THEN ${id} END) AS TEXT), sum(${isStale}), CAST(min(CASE WHEN ${isStale} THEN ${id} END) AS TEXT) FROM ${rows} LEFT JOIN ${content} ON f.id = ${id} WHERE ${id} BETWEEN ${from} AND ${to}`,
  );
  const [all, missing, firstMissing, stale, firstStale] = compared!;
  const isGhost = identity.isGone("f.id");
  const [texts, ghosts, firstGhost] = (yield* firstRow(
    `SELECT count(*), sum(${isGhost}), CAST(min(CASE WHEN ${isGhost} THEN f.id END) AS TEXT) FROM ${content} WHERE f.id BETWEEN ${from} AND ${to}`,
  ))!;
  report.rows += Number(all);
  report.indexed += Number(texts);
  const { name, table } = definition;
  if (!isPending) {
    const key = yield* keyOf(firstMissing, identity, definition);
    report.count("ROW_NOT_INDEXED", `rows of ${table} are not in index ${name}`, Number(missing), key);
  }
  const staleKey = yield* keyOf(firstStale, identity, definition);
  report.count("TEXT_DIFFERS", `index ${name} has another text of rows of ${table}`, Number(stale), staleKey);
  const ghostKey = yield* keyOf(firstGhost, identity, definition);
  report.count("NOT_A_ROW", `index ${name} has texts of rows that ${table} does not have`, Number(ghosts), ghostKey);
  return to === LAST_ID ? undefined : to + 1n;
}

/** What cannot be done in slices: the key map against the table, and FTS5's own check. */
export function* checkKeysAndText(target: Target, report: VerifyReport): Steps<void> {
  const found = yield* recordedIndex(target);
  const parts = partsOf(found);
  if (!parts) return;
  const { definition, identity } = parts;
  const { name, table } = definition;
  const { map } = identity;
  if (map) {
    const columns = (alias: string, of: readonly string[]) => of.map((column) => `${alias}.${identifier(column)}`);
    const own = columns("r", definition.key.columns);
    const places = columns(
      "k",
      definition.key.columns.map((_, i) => `k${i}`),
    );
    const unmapped = yield* count(map.unmapped);
    const keyless = yield* count(map.keyless);
    const orphans = yield* count(map.orphans);
    report.rows += unmapped + keyless;
    const missing = `rows of ${table} are not in the key map of index ${name}`;
    report.count("ROW_WITHOUT_ID", missing, unmapped, yield* firstKey(unmapped, own, map.unmapped));
    const left = `the key map of index ${name} has keys that ${table} does not have`;
    report.count("ID_WITHOUT_ROW", left, orphans, yield* firstKey(orphans, places, map.orphans));
    report.count("KEY_NULL", `rows of ${table} have NULL in their primary key`, keyless, undefined);
  }
  if (!parts.text) return;
  const damage = yield* textDamage(name);
  if (damage !== undefined) {
    report.add({ code: "TEXT_DAMAGED", message: `the text of index ${name} is damaged: ${damage}` });
  }
}

interface Comparison {
  readonly driver: Driver;
  readonly target: Target;
  readonly report: VerifyReport;
  readonly signal: AbortSignal | undefined;
}

/** Codes against the table: the rows they know of, and their vectors. An asynchronous driver has no codes. */
export async function compareCodes({ driver, target, report, signal }: Comparison): Promise<void> {
  if (driver.kind === "async") return;
  const { definition } = await driver.run(() => recordedIndex(target));
  const { name, table } = definition;
  for (const vector of definition.vectors) {
    const input = { driver, definition, vector };
    await driver.run(function* (snapshot) {
      const found = yield* codedRows(input, snapshot);
      const parts = found && partsOf(yield* recordedIndex(target));
      if (!parts) return;
      const missing = `rows of ${table} have a vector in column ${vector.column} that index ${name} knows nothing of`;
      const key = yield* keyOf(found.firstMissing, parts.identity, definition);
      report.count("ROW_WITHOUT_CODE", missing, found.missing, key);
      const left = `index ${name} has codes of rows that ${table} does not have, or without a vector in column ${vector.column}`;
      report.count("CODE_WITHOUT_ROW", left, found.left, undefined);
    });
    const isAny = await compareVectors(input, { driver, target, report, signal });
    // Answers are right from here on, whoever goes on with this connection.
    if (isAny) await driver.run((snapshot) => doWithout(input, snapshot));
  }
}

/** Whether the codes of any row contradict its vector. */
async function compareVectors(input: CodedRowsInput, { driver, target, report, signal }: Comparison): Promise<boolean> {
  const { definition, vector } = input;
  const message = `index ${definition.name} has codes of other vectors than rows of ${definition.table} have in column ${vector.column}`;
  let isAny = false;
  await inSlices(signal, async (from, limit) => {
    const start = performance.now();
    const next = await driver.run(function* (snapshot) {
      const found = yield* contradicted(input, snapshot, { from, limit });
      if (!found?.count) return found?.next;
      isAny = true;
      const parts = partsOf(yield* recordedIndex(target));
      const key = parts && (yield* keyOf(found.first, parts.identity, definition));
      report.count("CODE_DIFFERS", message, found.count, key);
      return found.next;
    });
    return { next, ms: performance.now() - start };
  });
  return isAny;
}

/** How many rows there are to compare. */
export function* countIds(target: Target): Steps<number> {
  const parts = partsOf(yield* recordedIndex(target));
  return parts ? yield* count(parts.identity.ids) : 0;
}

interface Parts {
  readonly definition: IndexDefinition;
  readonly identity: Identity;
  /** Whether there is text, in a table that can be read as it should be. */
  readonly text: boolean;
}

/** What of an index can be compared; undefined where not even ids can be told. */
function partsOf({ definition, installed, problems }: RecordedIndex): Parts | undefined {
  const { fts, keys } = namesOf(definition.name).tables;
  if (problems.some(isBlocking) || !isUsable(problems, keys)) return undefined;
  const table = findTable(installed, definition.table)!;
  const text = definition.text !== null && isUsable(problems, fts);
  return { definition, identity: identityOf(definition, table), text };
}

function isUsable(problems: readonly Problem[], ...tables: readonly string[]): boolean {
  return !problems.some(({ object }) => tables.some((table) => isSameName(object, table)));
}

function problemOf({ code, message }: Problem): VerifyProblem {
  return { code: code as VerifyProblem["code"], message };
}

/** The primary key of an id, for people. */
function* keyOf(id: unknown, { map }: Identity, { name, key }: IndexDefinition): Steps<unknown> {
  if (id === null || id === undefined) return undefined;
  if (!map) return integer(String(id));
  const places = key.columns.map((_, i) => `k.k${i}`);
  return yield* firstKey(1, places, `${identifier(namesOf(name).tables.keys)} AS k WHERE k.id = ${id}`);
}

/** Integers travel as text, since some drivers refuse those that a number cannot hold. */
function* firstKey(count: number, columns: readonly string[], source: string): Steps<unknown> {
  if (count === 0) return undefined;
  const fields = columns.map(
    (column) =>
      `typeof(${column}), CASE typeof(${column}) WHEN 'integer' THEN CAST(${column} AS TEXT) ELSE ${column} END`,
  );
  const row = yield* firstRow(`SELECT ${fields.join(", ")} FROM ${source} LIMIT 1`);
  if (!row) return undefined;
  const parts = columns.map((_, i) => (row[2 * i] === "integer" ? integer(String(row[2 * i + 1])) : row[2 * i + 1]));
  return parts.length === 1 ? parts[0] : parts;
}

function integer(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}
