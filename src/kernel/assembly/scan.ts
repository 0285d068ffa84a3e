// A scan of many blocks by one query. All that it needs lies in memory, at the place of a job: so whoever has the memory can do it,
// on any thread. kernel/scan.ts draws the job; kernel/scalar-scan.ts is the oracle.

import { lookAtLikely } from "./likely";
import { scanOneBit, settleOneBit } from "./one-bit";
import { scanBits } from "./scan-bits";
import { scanCodes, scanHeads, scanTails } from "./scan-codes";
import { settle } from "./survivors";

const CODES: i32 = 0;
const PACKED: i32 = 1;
const ONE_BIT: i32 = 2;
const ENTRY_BYTES: usize = 32;

// @ts-ignore: decorator
@inline
function codesState(job: usize): usize {
  return load<u32>(job, 8);
}
// @ts-ignore: decorator
@inline
function bitsState(job: usize): usize {
  return load<u32>(job, 48);
}

/** Scans the blocks that the job's table names. */
export function scan(job: usize): void {
  const kind = load<i32>(job), isHasty = load<i32>(job, 68) != 0;
  const query = <usize>load<u32>(job, 4), state = codesState(job);
  const headBytes = <usize>load<u32>(job, 12), tailBytes = <usize>load<u32>(job, 16), capacity = <usize>load<u32>(job, 20);
  const window = <usize>load<u32>(job, 24), windowRows = <usize>load<u32>(job, 28);
  const waitingBlocks = <usize>load<u32>(job, 32), most = load<i32>(job, 36);
  let waiting = 0;
  let entry = <usize>load<u32>(job, 60);
  for (const end = entry + <usize>load<u32>(job, 64) * ENTRY_BYTES; entry < end; entry += ENTRY_BYTES) {
    const codes = <usize>load<u32>(entry);
    const first = load<i32>(entry, 8), count = load<i32>(entry, 12), mask = <usize>load<u32>(entry, 16);
    if (kind == PACKED) scanBits(state, query, codes, headBytes, count, first, mask);
    else if (kind == CODES) {
      if (tailBytes == 0) scanCodes(state, query, codes, headBytes, count, first, mask);
      else {
        const place = <i32>(<usize>waiting * capacity);
        scanHeads(state, query, codes, headBytes, tailBytes, capacity, count, first, mask, window, windowRows, place);
        const block = waitingBlocks + (<usize>waiting << 4);
        store<u32>(block, <u32>codes);
        store<i32>(block, first, 4);
        store<i32>(block, count, 8);
        if (++waiting == most) {
          scanTails(state, query, headBytes, tailBytes, capacity, window, windowRows, waitingBlocks, waiting);
          waiting = 0;
        }
      }
    } else {
      scanOneBit(
        bitsState(job), load<u32>(job, 40), load<u32>(job, 44), load<u32>(entry, 4), load<u32>(job, 52), load<u32>(job, 56),
        count, first, mask,
      );
      if (kind == ONE_BIT) {
        if (isHasty && isFlooded(job)) return;
        continue;
      }
      // As late as there is room: the more of them are listed, the better is the order in which they are looked at.
      const isLast = entry + ENTRY_BYTES == end;
      if (!isLast && load<i32>(bitsState(job), 12) <= load<i32>(bitsState(job), 16) >> 1) continue;
      lookAtLikely(job, load<u32>(job, 60), end, window + (windowRows << 3));
      if (load<i32>(state, 36) > load<i32>(job, 76)) return giveUp(job);
    }
  }
  if (waiting > 0) scanTails(state, query, headBytes, tailBytes, capacity, window, windowRows, waitingBlocks, waiting);
}

/** Says that the scan has come to nothing, and that another would. */
function giveUp(job: usize): void {
  store<i32>(codesState(job), 1, 32);
  store<i32>(job, 1, 72);
}

function isFlooded(job: usize): bool {
  return load<i32>(job) == ONE_BIT ? load<i32>(bitsState(job), 28) != 0 : load<i32>(codesState(job), 32) != 0;
}

/** Whether the blocks have to be scanned once more: where more rows were left at some time than there is room for. */
export function again(job: usize): bool {
  const isHasty = load<i32>(job, 68) != 0, isRepeated = load<i32>(job, 72) != 0, kind = load<i32>(job);
  if (isHasty || isRepeated || !isFlooded(job)) return false;
  store<i32>(job, 1, 72);
  if (kind != ONE_BIT) {
    const state = codesState(job);
    store<i32>(state, 0, 12);
    store<i32>(state, 0, 16);
    store<i32>(state, 0, 32);
    store<i32>(state, 0, 44);
    store<f32>(state, -Infinity, 52);
  }
  if (kind >= ONE_BIT) {
    const state = bitsState(job);
    store<i32>(state, 0, 8);
    store<i32>(state, 0, 12);
    store<i32>(state, 0, 28);
  }
  return true;
}

/** Drops from the list what the final threshold rules out. Returns how many rows are left, -1 where they are too many. */
export function leave(job: usize): i32 {
  if (isFlooded(job)) return -1;
  return load<i32>(job) == ONE_BIT ? settleOneBit(bitsState(job)) : settle(codesState(job));
}
