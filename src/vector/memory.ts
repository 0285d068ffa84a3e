import { processWide } from "../driver/process-wide.ts";

/** Something in memory that can be made again. */
export interface Held {
  readonly bytes: number;
  /** When it was last of use, as `now` counts. */
  usedAt: number;
  /** Lets go of it. */
  drop(): void;
}

interface Memory {
  readonly held: Set<WeakRef<Held>>;
  clock: number;
}

/** What all connections of the process hold; weakly, since it is gone with its connection. */
const memory: Memory = processWide("memory-1", () => ({ held: new Set(), clock: 0 }));

/** Grows with every use: an order, not a time. */
export function now(): number {
  return ++memory.clock;
}

export function hold(held: Held): void {
  memory.held.add(new WeakRef(held));
}

/**
 * Makes room for so many bytes within a budget for the process, by letting go of what was of use longest ago.
 *
 * @param except - what is being filled, and stays
 * @returns whether there is room
 */
export function makeRoom(bytes: number, budgetBytes: number, except: Held): boolean {
  const others: Held[] = [];
  let used = except.bytes + bytes;
  for (const reference of memory.held) {
    const held = reference.deref();
    if (held === undefined) memory.held.delete(reference);
    else if (held !== except && held.bytes > 0) {
      others.push(held);
      used += held.bytes;
    }
  }
  others.sort((a, b) => b.usedAt - a.usedAt);
  // Nothing is gained by letting go of others for what does not fit even alone.
  if (except.bytes + bytes > budgetBytes) return false;
  while (used > budgetBytes) {
    const oldest = others.pop()!;
    used -= oldest.bytes;
    oldest.drop();
  }
  return true;
}
