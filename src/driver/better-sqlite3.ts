import { fillPlaceholders } from "drizzle-orm";
import { fillNursery } from "../kernel/free-bytes.ts";
import { clearlyReadOnly, connectionBusy, SAVEPOINT } from "./common.ts";
import type {
  Driver,
  QueryStep,
  Row,
  RowsStep,
  ScanStep,
  Selecting,
  Session,
  Snapshot,
  Step,
  Steps,
  StreamStep,
} from "./driver.ts";
import { getOrMake } from "./get-or-make.ts";

/** The part of better-sqlite3 that is used; its types belong to the optional peer. */
interface Database {
  readonly inTransaction: boolean;
  readonly open: boolean;
  readonly readonly: boolean;
  prepare(sql: string): Statement;
  function(name: string, options: object, call: (...args: any[]) => unknown): void;
}

interface Statement {
  readonly reader: boolean;
  raw(on: boolean): Statement;
  safeIntegers(on: boolean): Statement;
  all(...params: unknown[]): Row[];
  iterate(...params: unknown[]): Iterable<Row>;
  run(...params: unknown[]): unknown;
}

/** better-sqlite3 12 and newer, on both lines of Drizzle. Rows are streamed: memory does not grow with the table. */
export function betterSqlite3(handleOn: (session: Session) => Selecting, session: Session): Driver<"sync"> {
  const handle = handleOn(session);
  const client: Database = session.client;

  function answer(step: Step): unknown {
    if (step.type === "rows") return statement(step);
    if (step.type === "stream") return scan(step, step.sql, step.params);
    if (step.type === "select") return step.prepare(handle).all(step.values);
    const { sql, params } = logged(step);
    if (step.type === "query") return cached(client, sql).all(...params);
    return scan(step, sql, params);
  }

  function statement({ sql, params }: RowsStep): Row[] {
    const known = cached(client, sql);
    if (known.reader) return known.all(...params);
    known.run(...params);
    return [];
  }

  function logged(step: ScanStep | QueryStep): { sql: string; params: unknown[] } {
    const { sql, params } = step.build(handle).toSQL();
    const filled = fillPlaceholders(params, step.values);
    session.logger?.logQuery(sql, filled);
    return { sql, params: filled };
  }

  function scan(step: ScanStep | StreamStep, sql: string, params: readonly unknown[]): void {
    let batch: Row[] = [];
    for (const row of prepare(client, sql).iterate(...params)) {
      batch.push(row);
      if (batch.length === step.batchRows) {
        step.onRows(batch);
        batch = [];
        fillNursery(BALLAST);
      }
    }
    if (batch.length > 0) step.onRows(batch);
    fillNursery(0);
  }

  const run = <T>(steps: (snapshot: Snapshot) => Steps<T>) =>
    clearly(() => inSnapshot(client, (snapshot) => drive(steps(snapshot), answer)));

  return {
    name: "better-sqlite3",
    kind: "sync",
    connection: client,
    handle,
    run,
    search: run,
    write: <T>(steps: (snapshot: Snapshot) => Steps<T>) =>
      clearly(() => inWriteTransaction(client, (snapshot) => drive(steps(snapshot), answer))),
    bare: (sql) =>
      clearly(() => {
        const statement = prepare(client, sql);
        if (statement.reader) return statement.all();
        statement.run();
        return [];
      }),
    tryWrite: <T>(steps: () => Steps<T>) => tryWrite(client, () => drive(steps(), answer)),
    checkpoint: () => checkpoint(client),
    defineFunction(name, call) {
      client.function(name, { deterministic: true, varargs: true }, call);
    },
  };
}

/**
 * Blobs lie outside V8's heap and are freed with their small handles, when the 16 MB nursery of those is full: by then 60 MB
 * of blobs wait. Throwaway arrays of 32 kB, one a batch of about 100 kB, fill the nursery sooner: the peak of a scan falls to
 * 44 MB for 3 % of its time (bench/bare-scan.ts).
 */
const BALLAST = 4000;

/** Our own statements read the same whatever the app has set: arrays, and integers exactly. */
function prepare(client: Database, sql: string): Statement {
  return exactly(client.prepare(sql));
}

function exactly(statement: Statement): Statement {
  return statement.reader ? statement.safeIntegers(true).raw(true) : statement;
}

/** Statements of our own, by their text: a few, run on every query. SQLite prepares them anew when the schema has changed. */
const statements = new WeakMap<Database, Map<string, Statement>>();
const STATEMENTS_MAX = 200;

function cached(client: Database, sql: string): Statement {
  const known = getOrMake(statements, client, () => new Map());
  let statement = known.get(sql);
  if (!statement) {
    statement = prepare(client, sql);
    if (known.size >= STATEMENTS_MAX) known.clear();
    known.set(sql, statement);
  }
  return statement;
}

function drive<T>(steps: Steps<T>, answer: (step: Step) => unknown): T {
  let next = steps.next();
  while (!next.done) {
    let value: unknown;
    try {
      value = answer(next.value);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(value);
  }
  return next.value;
}

/**
 * Several statements see one state of the database only inside a transaction. An open transaction is used as it is. While
 * an iterator is open none can begin, and the iterator itself pins the snapshot.
 *
 * SAVEPOINT begins one as BEGIN does, and is refused while a write is half-way through what it returns; BEGIN is not where the app has
 * set `unsafeMode`, and could not be ended.
 */
function inSnapshot<T>(client: Database, work: (snapshot: Snapshot) => T): T {
  if (client.inTransaction) return work({ isShared: true });
  try {
    cached(client, `SAVEPOINT ${SAVEPOINT}`).run();
  } catch (error) {
    if (isBusy(error) || Object(error).code === "SQLITE_BUSY") return work({ isShared: true });
    throw error;
  }
  try {
    return work({ isShared: false });
  } finally {
    // SQLite itself ends the transaction on a few errors.
    if (client.inTransaction) cached(client, `RELEASE ${SAVEPOINT}`).run();
  }
}

function inWriteTransaction<T>(client: Database, work: (snapshot: Snapshot) => T): T {
  const execute = (...statements: string[]) => {
    for (const sql of statements) client.prepare(sql).run();
  };
  const isShared = client.inTransaction;
  execute(isShared ? `SAVEPOINT ${SAVEPOINT}` : "BEGIN IMMEDIATE");
  try {
    const value = work({ isShared });
    execute(isShared ? `RELEASE ${SAVEPOINT}` : "COMMIT");
    return value;
  } catch (error) {
    // SQLite itself ends the transaction on a few errors, a full disk among them.
    if (client.inTransaction) {
      if (isShared) execute(`ROLLBACK TO ${SAVEPOINT}`, `RELEASE ${SAVEPOINT}`);
      else execute("ROLLBACK");
    }
    throw error;
  }
}

/**
 * The lock is asked for once, without waiting. An exclusive one: with a WAL it is no more than that of a writer; without, the
 * COMMIT could else be refused because another connection reads, and all that was done be lost.
 */
function tryWrite<T>(client: Database, work: () => T): { value: T } | "busy" | "closed" | "readonly" {
  if (!client.open) return "closed";
  if (client.readonly) return "readonly";
  if (client.inTransaction) return "busy";
  const undo: string[] = [];
  let hasBegun = false;
  try {
    undo.push(setTo0(client, BUSY_TIMEOUT));
    client.prepare("BEGIN EXCLUSIVE").run();
    hasBegun = true;
    const value = work();
    undo.push(setTo0(client, AUTOCHECKPOINT));
    client.prepare("COMMIT").run();
    return { value };
  } catch (error) {
    const code = String(Object(error).code);
    if (!hasBegun && (isBusy(error) || /^SQLITE_(BUSY|LOCKED)/.test(code))) return "busy";
    if (code.startsWith("SQLITE_READONLY")) return "readonly";
    throw error;
  } finally {
    if (client.open) {
      // SQLite itself ends the transaction on a few errors, a full disk among them.
      if (client.inTransaction) client.prepare("ROLLBACK").run();
      for (const pragma of undo) restore(client, pragma);
    }
  }
}

const BUSY_TIMEOUT = "PRAGMA busy_timeout";
const AUTOCHECKPOINT = "PRAGMA wal_autocheckpoint";

/** What sets a number of the connection back to what it was. */
function setTo0(client: Database, pragma: string): string {
  const [row] = prepare(client, pragma).all();
  prepare(client, `${pragma} = 0`).all();
  return `${pragma} = ${row![0]}`;
}

/** As after a COMMIT of SQLite's own accord, nothing is lost where it cannot be done: the log stays, and is moved another time. */
function checkpoint(client: Database): void {
  if (!client.open || client.readonly || client.inTransaction) return;
  try {
    const [row] = prepare(client, AUTOCHECKPOINT).all();
    if (Number(row![0]) > 0) prepare(client, "PRAGMA main.wal_checkpoint(PASSIVE)").all();
  } catch (error) {
    if (!isBusy(error) && !String(Object(error).code).startsWith("SQLITE_")) throw error;
  }
}

function restore(client: Database, pragma: string): void {
  // A statement is open on the connection: then the first PRAGMA was refused as well, and nothing has been set.
  try {
    prepare(client, pragma).all();
  } catch (error) {
    if (!isBusy(error)) throw error;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("busy");
}

/** Puts typed errors in the place of better-sqlite3's about the state of the connection and of a read-only database. */
function clearly<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof TypeError ? error.cause : error;
    if (!(cause instanceof TypeError) || !/connection is (busy|not open)/.test(cause.message)) {
      throw clearlyReadOnly(error);
    }
    if (cause.message.includes("not open")) {
      throw connectionBusy("a closed connection", "Open the database before searching.", error);
    }
    const hint = "A search cannot run inside an SQL function or between the steps of a write; run it before or after.";
    throw connectionBusy("one that is executing another statement", hint, error);
  }
}
