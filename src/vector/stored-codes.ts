import type { Steps } from "../driver/driver.ts";
import type { CodeKind, RowBlocks, Slots } from "./row-blocks.ts";

/** Where a block is on disk. */
export interface BlockSource {
  readonly generation: bigint;
  readonly stamp: bigint;
  /** Of its ids; the parts behind it are those of its codes. */
  readonly part: number;
  /** Rows it has. */
  readonly count: number;
}

/** A block as it is on disk, without its codes: rows by ascending id. */
export interface StoredBlock {
  readonly ids: BigInt64Array;
  /** One bit a row, set where the row is gone; undefined where none is. */
  readonly gone: Uint8Array | undefined;
  readonly source: BlockSource;
}

/** What is known of a block whose codes are read. */
export interface StoredRows {
  /** Undefined where its rows were coded here. */
  readonly source: BlockSource | undefined;
  readonly count: number;
  /** One bit a row, set where the row is gone. */
  readonly gone: Uint8Array;
}

/** Gives codes of a block that are not in memory, as `RowBlocks.save` did. */
export type ReadCodes = (source: BlockSource, kind: CodeKind) => Steps<StoredCodes>;

export interface StoredCodes {
  readonly payload: Uint8Array;
  /** @throws unless this is the checksum of the payload */
  check(payloadSum: number): void;
}

/** Blocks that are read from disk at once: their checksums are computed in the time of one. */
export const READ_BLOCKS = 4;

/**
 * Reads codes of blocks into slots, and returns them as they were stored.
 *
 * @throws where they are not sound: what the slots then hold must not be looked at
 */
export function* fillSlots(
  rows: RowBlocks,
  kind: CodeKind,
  slots: readonly number[],
  blocks: readonly StoredRows[],
  read: ReadCodes,
): Steps<StoredCodes[]> {
  const stored: StoredCodes[] = [];
  for (const { source } of blocks) stored.push(yield* read(source!, kind));
  const saved = blocks.map(({ count }, i) => ({ slot: slots[i]!, rows: count, bytes: stored[i]!.payload }));
  rows.load(kind, saved).forEach((sum, i) => {
    stored[i]!.check(sum);
  });
  blocks.forEach(({ gone }, i) => {
    eraseGone(rows, { codes: undefined, bits: undefined, [kind]: slots[i]! }, gone);
  });
  return stored;
}

function eraseGone(rows: RowBlocks, slots: Slots, gone: Uint8Array): void {
  gone.forEach((bits, i) => {
    for (let rest = bits; rest !== 0; rest &= rest - 1) rows.erase(slots, i * 8 + (31 - Math.clz32(rest & -rest)));
  });
}
