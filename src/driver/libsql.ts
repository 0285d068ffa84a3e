import { fillPlaceholders } from "drizzle-orm";
import { eponymous } from "../migration/sql-text.ts";
import type {
  BuiltSelect,
  DbLike,
  Driver,
  Row,
  ScanStep,
  Session,
  Snapshot,
  Step,
  Steps,
  StreamStep,
} from "./driver.ts";
import { clearlyReadOnly, SAVEPOINT } from "./writing.ts";

interface Executor {
  execute(statement: { sql: string; args: unknown[] }): Promise<{ rows: ArrayLike<unknown>[] }>;
}

interface Transaction extends Executor {
  commit(): Promise<void>;
  close(): void;
}

interface Client extends Executor {
  transaction(mode: "read" | "write"): Promise<Transaction>;
}

/**
 * libSQL through @libsql/client, on both lines of Drizzle. The client gives whole result sets, so a scan reads pages in key
 * order. Outside a transaction the steps run in a read transaction of their own; a `:memory:` database has no second
 * connection for one, and one process alone sees it, so there the steps run one after the other, those of `write` as well.
 */
export function libsql(db: DbLike, session: Session): Driver<"async"> {
  const client: Client = session.client;

  return {
    name: "libsql",
    kind: "async",
    connection: client,
    async run<T>(steps: (snapshot: Snapshot) => Steps<T>): Promise<T> {
      if (session.tx) return drive(steps({ isShared: true }), db, session, session.tx as Executor);
      if (await isInMemory(client)) return drive(steps({ isShared: false }), db, session, client);
      const transaction = await client.transaction("read");
      try {
        return await drive(steps({ isShared: false }), overlay(db, session, transaction), session, transaction);
      } finally {
        transaction.close();
      }
    },
    async bare(sql) {
      try {
        return rowsOf(await client.execute({ sql, args: [] }));
      } catch (error) {
        throw clearlyReadOnly(error);
      }
    },
    async write<T>(steps: (snapshot: Snapshot) => Steps<T>): Promise<T> {
      try {
        if (session.tx)
          return await inSavepoint(session.tx as Executor, (tx) => drive(steps({ isShared: true }), db, session, tx));
        if (await isInMemory(client)) return await drive(steps({ isShared: false }), db, session, client);
        const transaction = await client.transaction("write");
        try {
          const value = await drive(
            steps({ isShared: false }),
            overlay(db, session, transaction),
            session,
            transaction,
          );
          await transaction.commit();
          return value;
        } finally {
          // Rolls back what is not committed.
          transaction.close();
        }
      } catch (error) {
        throw clearlyReadOnly(error);
      }
    },
  };
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

/** The database handle with its session bound to a transaction, as Drizzle's own `db.transaction` makes it. */
function overlay(db: DbLike, session: Session, tx: Transaction): DbLike {
  const bound = Object.create(session, { tx: { value: tx } });
  return Object.create(db, { session: { value: bound } });
}

async function drive<T>(steps: Steps<T>, db: DbLike, session: Session, executor: Executor): Promise<T> {
  let next = steps.next();
  while (!next.done) {
    let value: unknown;
    try {
      value = await answer(next.value, db, session, executor);
    } catch (error) {
      next = steps.throw(error);
      continue;
    }
    next = steps.next(value);
  }
  return next.value;
}

async function answer(step: Step, db: DbLike, session: Session, executor: Executor): Promise<unknown> {
  if (step.type === "rows") return rowsOf(await executor.execute({ sql: step.sql, args: [...step.params] }));
  if (step.type === "select") return step.prepare(db).all(step.values);
  if (step.type === "scan") return scan(step, db, session, executor);
  if (step.type === "stream") return stream(step, executor);
  return rowsOf(await execute(step.build(db), step.values, session, executor));
}

function execute(builder: BuiltSelect, values: Record<string, unknown>, session: Session, executor: Executor) {
  const { sql, params } = builder.toSQL();
  const args = fillPlaceholders(params, values);
  session.logger?.logQuery(sql, args);
  return executor.execute({ sql, args });
}

async function scan(step: ScanStep, db: DbLike, session: Session, executor: Executor): Promise<void> {
  let after: Row | undefined;
  for (;;) {
    const page = step.build(db, { after, rows: step.batchRows });
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
