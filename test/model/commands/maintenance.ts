import * as library from "../../../src/index.ts";
import type { Command, Scene } from "./command.ts";

/** Refusals that are right: a transaction is open, or another connection holds the lock. */
async function unlessBusy(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!/^(SQLITE_BUSY|SQLITE_LOCKED|TRANSACTION_OPEN)/.test(String((error as { code?: unknown }).code))) throw error;
  }
}

async function heal(s: Scene, work: () => unknown): Promise<void> {
  await unlessBusy(async () => {
    await work();
    s.world.noteHealth(s.connection.client);
  });
}

type LongWork = (db: any, index: any) => Promise<unknown>;
type Release = (db: any, index?: any) => unknown;
// Exported by newer versions of the library than this model may run on.
const { optimize, release } = library as { optimize?: LongWork; release?: Release };

/** The library's own work on an index, between everything else. */
export const maintenance = {
  ensure: (s) => {
    const isOpen = s.connection.client.inTransaction;
    // Inside a transaction it may be rolled back with it: whole for now is all that is known.
    return heal(s, () => library.ensureSearchIndexes(s.connection.db, [s.shape.index])).then(() => isOpen);
  },
  rebuild: (s) => s.a < 4 && heal(s, () => library.rebuild(s.connection.db, s.shape.index)),
  verify: (s) =>
    s.a < 2 &&
    unlessBusy(async () => {
      if (!s.world.isHealthy(s.connection.client)) return;
      const { problems } = await library.verify(s.connection.db, s.shape.index);
      const found = problems.filter(({ code }) => code !== "LOG_LOST" && code !== "KEY_NULL");
      if (found.length > 0) throw new Error(`verify found ${JSON.stringify(found)}`);
    }),
  ...(optimize
    ? {
        optimize: (s: Scene) =>
          unlessBusy(async () => {
            // Nothing is written of an index that may have missed writes.
            const isHealthy = s.world.isHealthy(s.connection.client);
            try {
              await optimize(s.connection.db, s.shape.index);
            } catch (error) {
              if (isHealthy || (error as { code?: unknown }).code !== "INDEX_DETACHED") throw error;
            }
          }),
      }
    : {}),
  ...(release ? { release: (s: Scene) => unlessBusy(() => release(s.connection.db)) } : {}),
} satisfies Record<string, Command>;
