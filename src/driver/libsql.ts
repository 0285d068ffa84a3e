import { fillPlaceholders } from "drizzle-orm";
import { ConnectionBusyError } from "../errors.ts";
import { eponymous } from "../migration/sql-text.ts";
import { clearlyReadOnly, connectionBusy, SAVEPOINT } from "./common.ts";
import type {
  BuiltSelect,
  Driver,
  Row,
  ScanStep,
  Selecting,
  Session,
  Snapshot,
  Step,
  Steps,
  StreamStep,
} from "./driver.ts";

interface Executor {
  execute(statement: { sql: string; args: unknown[] }): Promise<{ rows: ArrayLike<unknown>[] }>;
}

interface Transaction extends Executor {
  commit(): Promise<void>;
  close(): void;
}

interface Client extends Executor {
  /** `file` for a local database. */
  readonly protocol?: string;
  transaction(mode: "read" | "write"): Promise<Transaction>;
}

/**
 * libSQL through @libsql/client, on both lines of Drizzle. The client gives whole result sets, so a scan reads pages in key
 * order. Outside a transaction the steps run in a read transaction of their own; a `:memory:` database has no second
 * connection for one, and one process alone sees it, so there the steps run one after the other, those of `write` as well. There, and in
 * a transaction of the app's, what else the app has begun runs between two steps: a search that was disturbed is begun anew.
 */
export function libsql(handleOn: (session: Session) => Selecting, session: Session): Driver<"async"> {
  const handle = handleOn(session);
  const client: Client = session.client;

  return {
    name: "libsql",
    kind: "async",
    connection: client,
    handle,
    run: <T>(steps: (snapshot: Snapshot) => Steps<T>) => read(steps, (work) => work()),
    search: <T>(steps: (snapshot: Snapshot) => Steps<T>) => read(steps, undisturbed),
    bare: (sql) => clearly(() => inTurn(client, async () => rowsOf(await client.execute({ sql, args: [] })))),
    write: <T>(steps: (snapshot: Snapshot) => Steps<T>) =>
      clearly<T>(() => {
        if (session.tx) {
          return inSavepoint(session.tx as Executor, (tx) => drive(steps({ isShared: true }), handle, session, tx));
        }
        return inTurn(client, async () => {
          if (await isInMemory(client)) return drive(steps({ isShared: false }), handle, session, client);
          const transaction = await client.transaction("write");
          try {
            const value = await drive(
              steps({ isShared: false }),
              handleOn(boundTo(transaction, session)),
              session,
              transaction,
            );
            await transaction.commit();
            return value;
          } finally {
            // Rolls back what is not committed.
            transaction.close();
          }
        });
      }),
  };

  /** @param among - how steps are run beside which others may write on the same connection */
  function read<T>(
    steps: (snapshot: Snapshot) => Steps<T>,
    among: (work: () => Promise<T>, executor: Executor) => Promise<T>,
  ): Promise<T> {
    return clearly<T>(() => {
      const { tx } = session as { tx?: Executor };
      if (tx) return among(() => drive(steps({ isShared: true }), handle, session, tx), tx);
      return inTurn(client, async () => {
        if (await isInMemory(client)) {
          return among(() => drive(steps({ isShared: false }), handle, session, client), client);
        }
        const transaction = await client.transaction("read");
        try {
          return await drive(steps({ isShared: false }), handleOn(boundTo(transaction, session)), session, transaction);
        } finally {
          transaction.close();
        }
      });
    });
  }
}

/** What of ours each client is asked last. */
const turns = new WeakMap<Client, Promise<unknown>>();

/**
 * A local client has so many connections, 20 unless told otherwise, and refuses whoever needs one while transactions hold all of them.
 * Ours hold one: they wait for each other, which costs nothing, since a local statement keeps the thread to itself.
 */
function inTurn<T>(client: Client, work: () => Promise<T>): Promise<T> {
  if (client.protocol !== "file") return work();
  const turn = (turns.get(client) ?? Promise.resolve()).then(work);
  turns.set(
    client,
    turn.then(
      () => {},
      () => {},
    ),
  );
  return turn;
}

/** What an app does at once with a search comes to an end. What goes on for longer writes without a pause. */
const ATTEMPTS = 20;

/** Runs work anew for as long as somebody has written on the same connection between its first statement and its last. */
async function undisturbed<T>(work: () => Promise<T>, executor: Executor): Promise<T> {
  const changes = async () =>
    Number(rowsOf(await executor.execute({ sql: "SELECT total_changes()", args: [] }))[0]![0]);
  for (let attempt = 0, before = await changes(); attempt < ATTEMPTS; attempt++) {
    const value = await work();
    const after = await changes();
    if (after === before) return value;
    before = after;
  }
  throw new ConnectionBusyError({
    subject: "db",
    expected: "a connection that nobody writes on while it is searched",
    got: `writes between the steps of a search, ${ATTEMPTS} times in turn`,
    hint: "Await the search, or the writes before it: neither a transaction nor a database in memory has a snapshot for a search alone.",
  });
}

/** What the client's codes for the state of its connections mean, and what to do. */
const STATES = new Map<unknown, readonly [got: string, hint: string]>([
  ["CLIENT_CLOSED", ["a closed client", "Await a search before you close the client."]],
  ["TRANSACTION_CLOSED", ["a transaction that is over", "Await a search before you end the transaction."]],
  [
    "TRANSACTION_ACTIVE",
    [
      "a client whose connections are all held by open transactions",
      "Search with such a transaction, or when it is over. A database in memory has one connection, a file as many as `concurrency` of createClient says.",
    ],
  ],
]);

/** Puts typed errors in the place of the client's about that and about a read-only database. */
async function clearly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, cause } = Object(error) as { code?: unknown; cause?: unknown };
    // Drizzle wraps what the client throws.
    const state = STATES.get(code) ?? STATES.get((Object(cause) as { code?: unknown }).code);
    if (state === undefined) throw clearlyReadOnly(error);
    throw connectionBusy(...state, error);
  }
}

async function inSavepoint<T>(tx: Executor, work: (tx: Executor) => Promise<T>): Promise<T> {
  const execute = (sql: string) => tx.execute({ sql, args: [] });
  await execute(`SAVEPOINT ${SAVEPOINT}`);
  try {
    const value = await work(tx);
    await execute(`RELEASE ${SAVEPOINT}`);
    return value;
  } catch (error) {
    // Where SQLite has ended the transaction itself, there is nothing to go back to; the first error tells why.
    await execute(`ROLLBACK TO ${SAVEPOINT}`)
      .then(() => execute(`RELEASE ${SAVEPOINT}`))
      .catch(() => {});
    throw error;
  }
}

/** The session bound to a transaction, as Drizzle's own `db.transaction` makes it. */
function boundTo(tx: Transaction, session: Session): Session {
  return Object.create(session, { tx: { value: tx } });
}

async function drive<T>(steps: Steps<T>, handle: Selecting, session: Session, executor: Executor): Promise<T> {
  let next = steps.next();
  while (!next.done) {
    let value: unknown;
    try {
      value = await answer(next.value, handle, session, executor);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(value);
  }
  return next.value;
}

async function answer(step: Step, handle: Selecting, session: Session, executor: Executor): Promise<unknown> {
  if (step.type === "rows") return rowsOf(await executor.execute({ sql: step.sql, args: [...step.params] }));
  if (step.type === "select") return step.prepare(handle).all(step.values);
  if (step.type === "scan") return scan(step, handle, session, executor);
  if (step.type === "stream") return stream(step, executor);
  return rowsOf(await execute(step.build(handle), step.values, session, executor));
}

function execute(builder: BuiltSelect, values: Record<string, unknown>, session: Session, executor: Executor) {
  const { sql, params } = builder.toSQL();
  const args = fillPlaceholders(params, values);
  session.logger?.logQuery(sql, args);
  return executor.execute({ sql, args });
}

async function scan(step: ScanStep, handle: Selecting, session: Session, executor: Executor): Promise<void> {
  let after: Row | undefined;
  for (;;) {
    const page = step.build(handle, { after, rows: step.batchRows });
    const rows = rowsOf(await execute(page, step.values, session, executor));
    if (rows.length > 0) step.onRows(rows);
    if (rows.length < step.batchRows) return;
    after = rows[rows.length - 1];
  }
}

async function stream(step: StreamStep, executor: Executor): Promise<void> {
  const rows = rowsOf(await executor.execute({ sql: step.sql, args: [...step.params] }));
  for (let i = 0; i < rows.length; i += step.batchRows) step.onRows(rows.slice(i, i + step.batchRows));
}

function rowsOf({ rows }: { rows: ArrayLike<unknown>[] }): Row[] {
  return rows.map((row) => Array.from(row));
}

async function isInMemory(client: Client): Promise<boolean> {
  // An empty file name also stands for a temporary database, which is as private to its connection.
  const { rows } = await client.execute({
    sql: `select file from ${eponymous("pragma_database_list")} where name = 'main'`,
    args: [],
  });
  return rows.length > 0 && (rows[0]![0] === "" || rows[0]![0] === null);
}
