import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { ensureSearchIndexes, verify } from "../../src/index.ts";
import { TextOracle } from "./oracle.ts";
import { type Shape, textLiteral, vectorLiteral } from "./shapes.ts";

/** One of several handles on the model's file. */
export interface Connection {
  readonly client: Database.Database;
  readonly db: any;
  /** Savepoints s1 to sN are open. */
  depth: number;
}

export interface WorldOptions {
  readonly folder: string;
  readonly journal: "wal" | "delete";
  readonly connections: number;
}

const SUFFIXES = ["", "-wal", "-shm", "-journal"];

/** A database file with an index, connections on it, and what can be done to the file as a whole. */
export class World {
  readonly shape: Shape;
  readonly file: string;
  readonly journal: "wal" | "delete";
  readonly text: TextOracle;
  connections: Connection[] = [];
  /** A trigger was away for a while and is back as it was: only a number of the schema tells, which a restore gives out again. */
  wasUnlogged = false;
  readonly counts: Record<string, number> = {};
  readonly #healthy = new Set<string>();
  #restores = 0;

  constructor(shape: Shape, { folder, journal, connections }: WorldOptions) {
    this.shape = shape;
    this.file = join(folder, "model.db");
    this.journal = journal;
    this.text = new TextOracle(shape.tokenizer);
    for (const file of [this.file, this.backupFile, this.otherFile]) {
      for (const suffix of SUFFIXES) rmSync(file + suffix, { force: true });
    }
    const client = new Database(this.file);
    client.pragma(`journal_mode = ${journal}`);
    client.pragma("synchronous = OFF");
    for (const sql of shape.create) client.exec(sql);
    if (shape.hasParents) client.exec("INSERT INTO parent VALUES (0), (3), (6), (9)");
    // A row from before the index.
    client.exec(
      `INSERT INTO t (${shape.keyColumns}, txt, v) VALUES (${shape.key(5)}, ${textLiteral(2)}, ${vectorLiteral(shape, 1)})`,
    );
    ensureSearchIndexes(drizzle({ client }) as any, [shape.index]);
    this.noteHealth(client);
    for (const sql of shape.late ?? []) client.exec(sql);
    client.close();
    // Another database with a table of the same name, whose rows must never be met.
    const other = new Database(this.otherFile);
    other.exec("CREATE TABLE t (id, u, txt, note, v); INSERT INTO t VALUES (77, 0, 'red blue green', 'red', x'00')");
    other.close();
    this.open(connections);
  }

  get backupFile(): string {
    return `${this.file}.backup`;
  }

  get otherFile(): string {
    return `${this.file}.other`;
  }

  get isFree(): boolean {
    return this.connections.every(({ client }) => !client.inTransaction);
  }

  open(count = this.connections.length): void {
    this.connections = Array.from({ length: count }, (_, i) => {
      const client = new Database(this.file, { timeout: 0 });
      client.pragma("foreign_keys = ON");
      client.pragma("synchronous = OFF");
      if (i === 1) client.pragma("recursive_triggers = ON");
      if (i === 2) client.defaultSafeIntegers(true);
      return { client, db: drizzle({ client }), depth: 0 };
    });
  }

  close(): void {
    for (const { client } of this.connections) client.close();
  }

  /** Everything of ours in the schema and every UNIQUE index of the table: by it the index is whole or it is not. */
  #signature(client: Database.Database): string {
    return JSON.stringify([
      client
        .prepare("SELECT type, name, sql FROM sqlite_master WHERE name LIKE '\\_dv\\_%' ESCAPE '\\' ORDER BY 1, 2")
        .raw()
        .all(),
      // One that goes and comes back with another condition asks for other guards.
      client
        .prepare(
          "SELECT l.name, m.sql FROM pragma_index_list('t') AS l LEFT JOIN sqlite_master AS m ON m.name = l.name WHERE l.\"unique\" ORDER BY 1",
        )
        .raw()
        .all(),
    ]);
  }

  noteHealth(client: Database.Database): void {
    this.#healthy.add(this.#signature(client));
  }

  isHealthy(client: Database.Database): boolean {
    return this.#healthy.has(this.#signature(client));
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** The state on disk, put aside while nobody is at work. */
  backUp({ client }: Connection): void {
    client.pragma("wal_checkpoint(TRUNCATE)");
    copyFileSync(this.file, this.backupFile);
  }

  get hasBackup(): boolean {
    return existsSync(this.backupFile);
  }

  /** Puts the backup in the place of the file while nobody has it open. */
  restoreClosed(): void {
    this.close();
    for (const suffix of SUFFIXES.slice(1)) rmSync(this.file + suffix, { force: true });
    copyFileSync(this.backupFile, this.file);
    this.open();
  }

  /**
   * Puts the backup in the file's place beneath open connections, with a change counter that no connection has seen, as the
   * backup API of SQLite does. Over a counter given out twice SQLite would trust the pages it remembers, ours or not.
   */
  restoreBeneath(): void {
    const bytes = readFileSync(this.backupFile);
    this.#restores++;
    for (const at of [24, 92]) bytes.writeUInt32BE(this.#restores * 1_000_000, at);
    writeFileSync(this.file, bytes);
  }

  /** Restores through SQLite's backup API, which open connections take part in. */
  async restoreByApi(): Promise<void> {
    const source = new Database(this.backupFile, { readonly: true });
    try {
      await source.backup(this.file);
    } finally {
      source.close();
    }
  }

  /** Ends whatever is open, and looks at the file as a whole. */
  async finish(): Promise<string[]> {
    for (const { client } of this.connections) if (client.inTransaction) client.exec("ROLLBACK");
    const { client, db } = this.connections[0]!;
    // On a connection that read an FTS5 table before another wrote to it, SQLite reports damage that does not exist.
    const fresh = new Database(this.file, { readonly: true });
    const check = fresh.pragma("integrity_check", { simple: true });
    fresh.close();
    const findings = check === "ok" ? [] : [`the database is damaged: ${check}`];
    if (!this.isHealthy(client)) ensureSearchIndexes(db, [this.shape.index]);
    const { problems } = await verify(db, this.shape.index);
    // The model itself clears and cuts the log.
    return [...findings, ...problems.filter(({ code }) => code !== "LOG_LOST").map(({ message }) => message)];
  }
}
