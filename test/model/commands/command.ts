import type { Question } from "../questions.ts";
import { type Shape, textLiteral, vectorLiteral } from "../shapes.ts";
import type { Connection, World } from "../world.ts";

/** What a command works with: the world, the connection it is given, and small numbers that choose rows and values. */
export interface Scene extends Question {
  readonly world: World;
  readonly connection: Connection;
  readonly shape: Shape;
  exec(sql: string): void;
  /** Asks in the middle of a command, on its own connection. */
  ask(): void;
}

/** Does something to the database; SQLite may refuse it for a constraint or a lock, which is part of the game. */
export type Command = (scene: Scene) => unknown;

export function at({ keyColumns, key }: Shape, n: number): string {
  return keyColumns.map((column, i) => `${column} = ${key(n)[i]}`).join(" AND ");
}

export function setKey({ keyColumns, key }: Shape, n: number): string {
  return keyColumns.map((column, i) => `${column} = ${key(n)[i]}`).join(", ");
}

export function into({ keyColumns }: Shape): string {
  return `INTO t (${[...keyColumns, "u", "p", "txt", "note", "v"]}) VALUES`;
}

export function row({ shape, a, b, v }: Scene, key = a): string {
  const unique = b === 11 ? "NULL" : String(b);
  return `(${[...shape.key(key), unique, shape.parent(b), textLiteral(v), textLiteral(a + b), vectorLiteral(shape, v)]})`;
}

/** Runs statements as one: where one fails, none of them stays. */
export function together({ connection: { client } }: Scene, statements: readonly string[]): void {
  client.exec("SAVEPOINT together");
  try {
    for (const sql of statements) client.exec(sql);
    client.exec("RELEASE together");
  } catch (error) {
    // An OR ROLLBACK has ended the transaction with all its savepoints.
    if (client.inTransaction) client.exec("ROLLBACK TO together; RELEASE together");
    throw error;
  }
}
