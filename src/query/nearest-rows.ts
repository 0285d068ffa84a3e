import type { Row } from "../driver/driver.ts";
import { type Collation, compareKeys } from "./key.ts";

/** A row that may be among the answers. */
export interface Candidate {
  readonly distance: number;
  readonly key: Row;
}

/** Keeps the `k` nearest of the rows it is offered; ties go to the smaller key. A binary heap, the farthest row on top. */
export class NearestRows {
  readonly #k: number;
  readonly #collations: readonly Collation[];
  readonly #heap: Candidate[] = [];
  #bound: number;

  /** @param maxDistance - rows farther than this are never kept; `Infinity` for no bound */
  constructor(k: number, maxDistance: number, collations: readonly Collation[]) {
    this.#k = k;
    this.#bound = maxDistance;
    this.#collations = collations;
  }

  /** Rows farther than this need not be offered; only ever falls. */
  get bound(): number {
    return this.#bound;
  }

  /** Whether `k` rows are kept. */
  get isFull(): boolean {
    return this.#heap.length === this.#k;
  }

  offer(distance: number, key: Row): void {
    const heap = this.#heap;
    const candidate = { distance, key };
    if (heap.length < this.#k) {
      heap.push(candidate);
      this.#rise(heap.length - 1);
      if (heap.length === this.#k) this.#bound = Math.min(this.#bound, heap[0]!.distance);
    } else if (this.#k > 0 && this.#compare(candidate, heap[0]!) < 0) {
      heap[0] = candidate;
      this.#sink();
      this.#bound = heap[0].distance;
    }
  }

  /** The rows kept, nearest first. */
  sorted(): Candidate[] {
    return [...this.#heap].sort(this.#compare);
  }

  readonly #compare = (a: Candidate, b: Candidate): number =>
    a.distance - b.distance || compareKeys(a.key, b.key, this.#collations);

  #rise(from: number): void {
    const heap = this.#heap;
    for (let i = from; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (this.#compare(heap[i]!, heap[parent]!) <= 0) return;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && this.#compare(heap[right]!, heap[left]!) > 0 ? right : left;
      if (this.#compare(heap[child]!, heap[i]!) <= 0) return;
      [heap[i], heap[child]] = [heap[child]!, heap[i]!];
      i = child;
    }
  }
}
