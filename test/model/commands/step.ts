import fc from "fast-check";
import { ask } from "../questions.ts";
import type { World } from "../world.ts";
import type { Command, Scene } from "./command.ts";
import { files } from "./files.ts";
import { maintenance } from "./maintenance.ts";
import { rarities } from "./rarities.ts";
import { schemaChanges } from "./schema-changes.ts";
import { transactions } from "./transactions.ts";
import { writes } from "./writes.ts";

const COMMANDS: Record<string, Command> = {
  ...writes,
  ...transactions,
  ...schemaChanges,
  ...rarities,
  ...files,
  ...maintenance,
};

/** A step as plain data: kept in a fixture, it can be run again. */
export interface StepData {
  readonly kind: string;
  /** Which connection does it. */
  readonly on: number;
  /** Which connection is asked afterwards; from 3 on nobody, so that more than one thing happens between two questions. */
  readonly asks: number;
  readonly a: number;
  readonly b: number;
  readonly v: number;
}

const TOLERATED = /^SQLITE_(CONSTRAINT|BUSY|LOCKED|MISMATCH|READONLY_DBMOVED)/;

/** Runs one command of the model, and asks afterwards. */
export async function run(world: World, { kind, on, asks, a, b, v }: StepData): Promise<void> {
  const connection = world.connections[on % world.connections.length]!;
  const scene: Scene = {
    world,
    connection,
    shape: world.shape,
    a,
    b,
    v,
    exec: (sql) => void connection.client.exec(sql),
    ask: () => ask(world, connection, { a, b, v }),
  };
  world.count("steps");
  try {
    await COMMANDS[kind]!(scene);
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    if (!TOLERATED.test(code ?? "")) throw error;
    // Whatever the user's statement does wrong, it is never a table of ours that is in the way.
    if (code!.startsWith("SQLITE_CONSTRAINT") && message!.includes("_dv_")) throw error;
  }
  for (const one of world.connections) if (!one.client.inTransaction) one.depth = 0;
  const asked = world.connections[asks];
  if (asked) ask(world, asked, { a, b, v });
}

const WEIGHTS: Record<string, number> = {
  insert: 6,
  replace: 4,
  insertOr: 3,
  upsert: 3,
  update: 4,
  updateText: 3,
  delete: 2,
  moveKey: 3,
  parent: 2,
  begin: 5,
  savepoint: 4,
  rollbackTo: 3,
  commit: 3,
  rollback: 2,
  undone: 3,
  ensure: 12,
};

const kinds = Object.keys(COMMANDS).flatMap((kind) => Array<string>(WEIGHTS[kind] ?? 1).fill(kind));

export const steps: fc.Arbitrary<StepData> = fc.record({
  kind: fc.constantFrom(...kinds),
  on: fc.nat(2),
  asks: fc.nat(5),
  a: fc.nat(11),
  b: fc.nat(11),
  v: fc.nat(39),
});
