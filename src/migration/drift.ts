import { isSameName } from "../schema/names.ts";
import type { IndexDefinition } from "./definition.ts";
import { findIndex, type Installed } from "./installed.ts";
import { damagedRecord, inFrontOf, type Problem, problemsOf } from "./problems.ts";

/** One thing in which a database is not what the schema declares. */
export interface Drift {
  index: string;
  code: Problem["code"] | "DECLARATION_DIFFERS" | "NOT_DECLARED" | "TEXT_PENDING";
  /** A sentence for the user, without a full stop. */
  message: string;
}

/** Everything in which a database, or what the migrations lead to, differs from the declarations. Empty: in step. */
export function driftOf(wanted: readonly IndexDefinition[], installed: Installed): Drift[] {
  const declared = wanted.flatMap((definition) => {
    const problems = problemsOf(definition, installed);
    const isAbsent = findIndex(installed, definition.name) === undefined;
    const told = isAbsent ? absentDrift(problems) : problems;
    const found = told.map(({ code, message }) => ({ index: definition.name, code, message }));
    // Where the declaration differs, so do objects, because of it.
    return [...recordDrift(definition, installed), ...found];
  });
  const left = installed.indexes
    .filter(({ name }) => !wanted.some((definition) => isSameName(definition.name, name)))
    .map(({ name }) => ({
      index: name,
      code: "NOT_DECLARED" as const,
      message: `index ${name} is there, but no schema file exports it`,
    }));
  return [...declared, ...left];
}

/**
 * What is no drift, and worth knowing: triggers of the user over which, in rare cases, an index misses a write whose statement
 * fails.
 */
export function noticesOf(wanted: readonly IndexDefinition[], installed: Installed): string[] {
  return wanted.flatMap((definition) => {
    const { name } = definition;
    if (!findIndex(installed, name)?.record) return [];
    const inFront = inFrontOf(definition, installed).filter(({ stop }) => stop === undefined);
    return inFront.map(
      (trigger) =>
        `trigger ${trigger.name} runs before those of index ${name}, which miss a row that it fails on under OR FAIL; \`drizzle-vector generate\` and ensureSearchIndexes change the order`,
    );
  });
}

/** Of an index of which nothing is there one line says all, not one for each of its tables and triggers. */
function absentDrift(problems: readonly Problem[]): Problem[] {
  return problems
    .filter(({ code }) => code !== "OBJECT_MISSING")
    .map((problem) =>
      problem.code === "NOT_RECORDED" ? { ...problem, message: `index ${problem.object} does not exist` } : problem,
    );
}

function recordDrift(definition: IndexDefinition, installed: Installed): Drift[] {
  const found = findIndex(installed, definition.name);
  const index = definition.name;
  const record = found?.record;
  if (!record?.definition)
    return found ? damagedRecord(found).map(({ code, message }) => ({ index, code, message })) : [];
  const parts = differences(record.definition, definition);
  const drift: Drift[] = [];
  if (parts.length > 0) {
    const message = `index ${index} was made with ${parts.join(", ")}`;
    drift.push({ index, code: "DECLARATION_DIFFERS", message });
  }
  if (record.pending === "text") {
    const message = `the text of index ${index} is not filled yet`;
    drift.push({ index, code: "TEXT_PENDING", message });
  }
  return drift;
}

/** `text {…}, declared is {…}` for each part of a definition that differs. */
function differences(recorded: IndexDefinition, declared: IndexDefinition): string[] {
  const parts = ["name", "table", "key", "text", "vectors"] as const;
  return parts.flatMap((part) => {
    const [old, now] = [JSON.stringify(recorded[part]), JSON.stringify(declared[part])];
    return old === now ? [] : [`${part} ${old}, declared is ${now}`];
  });
}
