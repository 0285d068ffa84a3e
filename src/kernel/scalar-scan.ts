import type { CodeKernel } from "./code-kernel.ts";
import { scalarHash } from "./scalar-checksum.ts";
import { scalarCodeScan } from "./scalar-code-scan.ts";
import { scalarLikely } from "./scalar-likely.ts";
import { ScalarMemory } from "./scalar-memory.ts";
import { scalarOneBit } from "./scalar-one-bit.ts";

/** As in assembly/scan.ts. */
const CODES = 0;
const PACKED = 1;
const ONE_BIT = 2;
const ENTRY_BYTES = 32;

/** The code kernels in plain TypeScript, equal to the last bit: the oracle of their tests, and the fallback without SIMD. */
export function scalarCodeKernel(): CodeKernel {
  const memory = new ScalarMemory();
  const { scanCodes, scanBits, lookAt, settle } = scalarCodeScan(memory);
  const { codeOneBit, rotateOneBit, scanOneBit, settleOneBit } = scalarOneBit(memory);
  const word = (at: number) => memory.view.getInt32(at, true);
  const words = (at: number, count: number) => new Int32Array(memory.buffer, at, count);
  const isOfBits = (job: number) => word(job) === ONE_BIT;
  const stateOf = (job: number) => word(job + (isOfBits(job) ? 48 : 8));
  const isFlooded = (job: number) => word(stateOf(job) + (isOfBits(job) ? 28 : 32)) !== 0;

  const lookAtLikely = scalarLikely(memory, settleOneBit, (state, query, block, shape, row, first) => {
    const [headBytes, tailBytes, capacity] = shape;
    lookAt(state, query, block, headBytes!, tailBytes!, capacity!, row, first);
  });

  return {
    kernel: "scalar",
    reserve: (bytes) => memory.reserve(bytes),
    hash: (hashes, addresses, count, bytes) => scalarHash(memory.buffer, hashes, addresses, count, bytes),
    codeOneBit,
    rotateOneBit,
    scan(job) {
      const kind = word(job);
      const [query, state, headBytes, tailBytes, capacity] = words(job + 4, 5);
      const [oneBitQuery, lookUps, oneBitState, width, oneBitCapacity, table, entries, isHasty] = words(job + 40, 8);
      for (let i = 0; i < entries!; i++) {
        const [codes, bits, first, count, mask] = words(table! + i * ENTRY_BYTES, 5);
        const rest = [count!, first!, mask!] as const;
        if (kind === PACKED) scanBits(state!, query!, codes!, headBytes!, ...rest);
        else if (kind === CODES) scanCodes(state!, query!, codes!, headBytes!, tailBytes!, capacity!, ...rest);
        else scanOneBit(oneBitState!, oneBitQuery!, lookUps!, bits!, width!, oneBitCapacity!, ...rest);
        if (kind! > ONE_BIT) {
          const isLast = i + 1 === entries;
          if (!isLast && word(oneBitState! + 12) <= word(oneBitState! + 16) >> 1) continue;
          lookAtLikely(job);
          if (word(state! + 36) <= word(job + 76)) continue;
          words(state! + 32, 1)[0] = 1;
          words(job + 72, 1)[0] = 1;
          return;
        }
        if (isHasty !== 0 && isFlooded(job)) return;
      }
    },
    again(job) {
      if (word(job + 68) !== 0 || word(job + 72) !== 0 || !isFlooded(job)) return 0;
      words(job + 72, 1)[0] = 1;
      // The threshold stays; heap, list and whether it has run over begin anew.
      const [state, bits] = [word(job + 8), word(job + 48)];
      if (word(job) !== ONE_BIT) for (const at of [12, 16, 32]) words(state + at, 1)[0] = 0;
      if (word(job) >= ONE_BIT) for (const at of [8, 12, 28]) words(bits + at, 1)[0] = 0;
      return 1;
    },
    leave(job) {
      if (isFlooded(job)) return -1;
      return isOfBits(job) ? settleOneBit(stateOf(job)) : settle(stateOf(job));
    },
  };
}
