import { vectorLiteral } from "../shapes.ts";
import { at, type Command } from "./command.ts";

const isOpen = ({ connection }: Parameters<Command>[0]) => connection.client.inTransaction;

/** Transactions and nested savepoints s1, s2, …, ended either way. */
export const transactions = {
  begin: (s) => !isOpen(s) && s.exec(["BEGIN", "BEGIN IMMEDIATE", "BEGIN"][s.a % 3]!),
  savepoint: (s) => {
    s.exec(`SAVEPOINT s${s.connection.depth + 1}`);
    s.connection.depth++;
  },
  rollbackTo: (s) => {
    const { depth } = s.connection;
    if (depth === 0) return;
    const to = 1 + (s.a % depth);
    s.exec(`ROLLBACK TO s${to}`);
    s.connection.depth = to;
  },
  release: (s) => {
    const { depth } = s.connection;
    if (depth === 0) return;
    const to = 1 + (s.a % depth);
    s.exec(`RELEASE s${to}`);
    s.connection.depth = to - 1;
  },
  commit: (s) => isOpen(s) && s.exec("COMMIT"),
  rollback: (s) => isOpen(s) && s.exec("ROLLBACK"),
  /** What was asked about is taken back, and other writes get the same numbers in the log. */
  undone: (s) => {
    const set = `UPDATE t SET v = ${vectorLiteral(s.shape, s.v)}, txt = 'red undone' WHERE`;
    s.exec("SAVEPOINT y");
    try {
      s.exec(`${set} ${at(s.shape, s.a)}`);
      s.ask();
    } finally {
      if (isOpen(s)) s.exec("ROLLBACK TO y; RELEASE y");
    }
    s.exec(`${set} ${at(s.shape, s.b)}`);
  },
  /** A reader begins, others go on writing: the older snapshot is answered as it is. */
  oldSnapshot: (s) => {
    const { connection, world } = s;
    const other = world.connections.find((one) => one !== connection && !one.client.inTransaction);
    if (isOpen(s) || !other) return;
    s.exec("BEGIN");
    try {
      s.ask();
      other.client.exec(`UPDATE t SET v = ${vectorLiteral(s.shape, s.v)}, txt = 'green' WHERE ${at(s.shape, s.a)}`);
      s.ask();
    } finally {
      if (isOpen(s)) s.exec("COMMIT");
    }
    s.ask();
  },
} satisfies Record<string, Command>;
