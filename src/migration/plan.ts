import { isSameName, namesOf, ownerOf } from "../schema/names.ts";
import { checkTogether, FORMAT_VERSION, type IndexDefinition } from "./definition.ts";
import { findIndex, findTable, type Installed, type InstalledIndex } from "./installed.ts";
import {
  CREATE_REGISTRY,
  DROP_REGISTRY,
  dropStatements,
  fillStatements,
  fillText,
  type Manager,
  objectsOf,
  registerStatement,
  resetStatements,
  schemaStatements,
  unregisterStatement,
} from "./objects.ts";
import { hiddenProblems, inFrontOf, isBlocking, isTheirs, newerFormat, type Problem, problemsOf } from "./problems.ts";
import { identifier } from "./sql-text.ts";

/** What to run, in two parts; every entry is one statement on one line. Both empty: nothing to change. */
export interface Plan {
  /** In front of drizzle-kit's statements: drops of what they would trip over or leave behind. */
  readonly before: string[];
  /** Behind them. */
  readonly after: string[];
  /** What happens, in sentences for the user. */
  readonly changes: string[];
  /** What stands in the way; if there is any, the plan must not run. */
  readonly blocking: Problem[];
  /** Nothing of it has to be done now: every write is followed as it is, unless a trigger of the user fails under OR FAIL. */
  readonly canWait?: boolean;
}

export interface PlanInput {
  /** The indexes the schema declares. */
  readonly wanted: readonly IndexDefinition[];
  /** The state all earlier migrations lead to. Read it with the tables of `wanted`. */
  readonly installed: Installed;
  /**
   * The state with drizzle-kit's new statements on top, where there are any. Run them as they are; where SQLite refuses them
   * because of our triggers, run them behind `detachStatements(installed)` and say so in `isDetached`.
   */
  readonly next?: { readonly installed: Installed; readonly isDetached: boolean };
  /** Creates text indexes empty and marks them, `pending = 'text'` in the registry; `drizzle-vector rebuild` fills them. */
  readonly deferText?: boolean;
}

/**
 * The way from a database (or a folder of migrations) to the declared indexes.
 *
 * An index whose triggers are as they should be stays. One whose triggers are not has missed writes: it is dropped and made
 * anew, which is simple, always right, and costs one INSERT … SELECT of its text. Where triggers of the user that cannot stop
 * a write by themselves have come in front of ours, only ours are made anew.
 *
 * @throws {DeclarationError} when the declarations contradict each other
 */
export function planMigration({ wanted, installed, next, deferText = false }: PlanInput): Plan {
  checkTogether(wanted);
  const state = next?.installed ?? installed;
  const plans = [
    ...installed.indexes
      .filter(({ name }) => !wanted.some((definition) => isSameName(definition.name, name)))
      .map(removal),
    ...wanted.map((definition) => {
      const isDetached = next?.isDetached === true && isTableChanged(definition, installed, next.installed);
      const isOnlyDetached = next?.isDetached === true && !isDetached;
      // Where the triggers were dropped for a trial alone, the earlier state tells how they are.
      const seen = isOnlyDetached ? { ...state, indexes: installed.indexes, schema: installed.schema } : state;
      return planIndex(definition, seen, { managed: "migrations", deferText });
    }),
  ];
  return wrap(join(plans), state, wanted.length);
}

/** Drops every trigger of ours, and nothing else: for a trial run of statements that they stand in the way of. */
export function detachStatements({ indexes }: Installed): string[] {
  return indexes.flatMap(({ name }) => dropStatements(name).filter((sql) => sql.startsWith("DROP TRIGGER")));
}

/**
 * Creates or repairs one index in place; run it inside BEGIN IMMEDIATE, with `installed` read inside. Empty where the index is
 * as it should be.
 */
export function planEnsure(
  definition: IndexDefinition,
  installed: Installed,
  { managed = "ensure", deferText = false }: { managed?: Manager; deferText?: boolean } = {},
): Plan {
  return wrap(planIndex(definition, installed, { managed, deferText }), installed, 1);
}

/**
 * Makes one index anew, whatever state it is in, its text empty and marked as pending: the beginning of `rebuild`. Run it inside
 * BEGIN IMMEDIATE, with `installed` read inside.
 */
export function planRebuild(definition: IndexDefinition, installed: Installed, managed: Manager): Plan {
  const blocking = problemsOf(definition, installed).filter(isBlocking);
  if (blocking.length > 0) return { ...NOTHING, blocking };
  const made = creation(definition, installed, { managed, deferText: true });
  const changes = [`recreate index ${definition.name}`];
  return wrap({ ...made, before: dropStatements(definition.name), changes }, installed, 1);
}

/** Drops one index with everything it has. */
export function planRemoval(name: string, installed: Installed): Plan {
  const found = findIndex(installed, name);
  const blocking = hiddenProblems(installed.temporary);
  if (blocking.length > 0) return { ...NOTHING, blocking };
  return found ? wrap(removal(found), installed, installed.indexes.length - 1) : NOTHING;
}

const NOTHING: Plan = { before: [], after: [], changes: [], blocking: [] };

interface IndexOptions {
  readonly managed: Manager;
  readonly deferText: boolean;
}

function planIndex(definition: IndexDefinition, installed: Installed, options: IndexOptions): Plan {
  const found = findIndex(installed, definition.name);
  const problems = problemsOf(definition, installed).filter((problem) => !isTheirs(problem));
  const blocking = problems.filter(isBlocking);
  if (blocking.length > 0) return { ...NOTHING, blocking };
  if (!found) return creation(definition, installed, options);
  const { fts } = namesOf(definition.name).tables;
  const isOfText = ({ code, object }: Problem) => code !== "TRIGGER_IN_FRONT" && isSameName(object, fts);
  if (found.record && problems.every(isOfText)) {
    return update(definition, installed, { ...options, found, isTextBroken: problems.length > 0 });
  }
  const made = creation(definition, installed, options);
  const changes = [`recreate index ${definition.name}: ${reasonsOf(problems)}`];
  return { ...made, before: dropStatements(found.name), changes };
}

/** The problems in one line; a table that was made anew has lost a dozen triggers, which are counted then. */
function reasonsOf(problems: readonly Problem[]): string {
  const isLost = ({ code, object: name }: Problem) =>
    code === "OBJECT_MISSING" && ownerOf({ type: "trigger", name }) !== undefined;
  const lost = problems.filter(isLost);
  if (lost.length < 4) return problems.map(({ message }) => message).join("; ");
  const others = problems.filter((problem) => !isLost(problem)).map(({ message }) => message);
  return [`${lost.length} triggers are missing, as after a table is made anew`, ...others].join("; ");
}

function creation(definition: IndexDefinition, installed: Installed, { managed, deferText }: IndexOptions): Plan {
  const table = findTable(installed, definition.table)!;
  const isDeferred = deferText && definition.text !== null;
  return {
    ...NOTHING,
    after: [
      ...objectsOf(definition, table).map(({ sql }) => sql),
      ...fillStatements(definition, table, { text: !isDeferred }),
      registerStatement(definition, { managed, pending: isDeferred ? "text" : undefined }),
    ],
    changes: [`create index ${definition.name} on ${definition.table}`],
  };
}

interface UpdateOptions extends IndexOptions {
  readonly found: InstalledIndex;
  readonly isTextBroken: boolean;
}

/** The triggers are right, so that tables and log hold what they should; only what the declaration says may have changed. */
function update(definition: IndexDefinition, installed: Installed, options: UpdateOptions): Plan {
  const { found, isTextBroken, managed, deferText } = options;
  const record = found.record!;
  const isSame = JSON.stringify(record.definition) === JSON.stringify(definition) && record.managed === managed;
  const inFront = inFrontOf(definition, installed).map(({ name }) => name);
  if (isSame && !isTextBroken && inFront.length === 0) return NOTHING;
  const isVectorSame = JSON.stringify(record.definition?.vectors) === JSON.stringify(definition.vectors);
  const table = findTable(installed, definition.table)!;
  const after: string[] = [];
  const changes: string[] = [];
  let pending = record.pending;
  if (isTextBroken) {
    const { fts } = namesOf(definition.name).tables;
    const create = objectsOf(definition, table).find(({ name }) => name === fts)!;
    after.push(
      ...dropStatements(definition.name).filter((sql) => sql.endsWith(`"${fts.replaceAll('"', '""')}"`)),
      create.sql,
    );
    if (!deferText) after.push(fillText(definition, table));
    pending = deferText ? "text" : undefined;
    changes.push(`fill the text of index ${definition.name} anew`);
  }
  if (!isVectorSame) {
    after.push(...resetStatements(definition), ...schemaStatements(definition));
    changes.push(`reset the vectors of index ${definition.name}`);
  }
  if (inFront.length > 0) {
    const triggers = objectsOf(definition, table).filter(({ type }) => type === "trigger");
    after.push(...triggers.flatMap(({ name, sql }) => [`DROP TRIGGER IF EXISTS ${identifier(name)}`, sql]));
    changes.push(`run the triggers of index ${definition.name} before ${inFront.join(", ")}`);
  }
  if (!isSame || isTextBroken) after.push(registerStatement(definition, { managed, pending }));
  if (changes.length === 0) changes.push(`record what is declared for index ${definition.name}`);
  return { ...NOTHING, after, changes, canWait: isSame && !isTextBroken };
}

function removal({ name, record }: InstalledIndex): Plan {
  if (record && record.format > FORMAT_VERSION) {
    return { ...NOTHING, blocking: [newerFormat(name, record.format)] };
  }
  const before = [...dropStatements(name), ...(record ? [unregisterStatement(name)] : [])];
  return { ...NOTHING, before, changes: [`drop index ${name}`] };
}

/** Whether statements did more to a table than nothing; any change counts, since its triggers have to be looked at then. */
function isTableChanged(definition: IndexDefinition, earlier: Installed, later: Installed): boolean {
  const recorded = findIndex(earlier, definition.name)?.record?.table ?? definition.table;
  const facts = (installed: Installed, name: string) => JSON.stringify(findTable(installed, name) ?? null);
  return facts(earlier, recorded) !== facts(later, definition.table);
}

function join(plans: readonly Plan[]): Plan {
  return {
    before: plans.flatMap(({ before }) => before),
    after: plans.flatMap(({ after }) => after),
    changes: plans.flatMap(({ changes }) => changes),
    blocking: plans.flatMap(({ blocking }) => blocking),
  };
}

/**
 * Adds the registry where it is missing, and takes it away with the last index. Where it is there nothing is said of it: a statement
 * without anything to do only reads, and SQLite waits for the lock of a writer no more once a transaction has begun to read. A migration
 * that begins so would fail at once beside an app that writes.
 */
function wrap(plan: Plan, { hasRegistry }: Installed, indexes: number): Plan {
  const after = plan.after.length > 0 && !hasRegistry ? [CREATE_REGISTRY, ...plan.after] : plan.after;
  const isLast = indexes === 0 && hasRegistry;
  const changes = isLast && plan.changes.length === 0 ? [`drop the registry, which lists no index`] : plan.changes;
  return { ...plan, before: isLast ? [...plan.before, DROP_REGISTRY] : plan.before, after, changes };
}
