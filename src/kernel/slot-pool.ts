import type { Arena } from "./arena.ts";

/** Pieces of an arena that are all of one size, numbered from 0; those given back are handed out again. */
export class SlotPool {
  readonly arena: Arena;
  readonly #slotBytes: number;
  readonly #places: number[] = [];
  readonly #free: number[] = [];

  constructor(arena: Arena, slotBytes: number) {
    this.arena = arena;
    this.#slotBytes = slotBytes;
  }

  /** How many there are, those given back included. */
  get slots(): number {
    return this.#places.length;
  }

  /** Bytes of those in use. */
  get bytes(): number {
    return (this.#places.length - this.#free.length) * this.#slotBytes;
  }

  /** @throws {RangeError} when memory ends */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    return this.#places.push(this.arena.take(this.#slotBytes)) - 1;
  }

  /** Gives a slot back. */
  free(slot: number): void {
    this.#free.push(slot);
  }

  /** Where a slot lies. */
  at(slot: number): number {
    return this.#places[slot]!;
  }
}
