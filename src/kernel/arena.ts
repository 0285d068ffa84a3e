import { type CodeKernel, codeKernel } from "./code-kernel.ts";
import { BASE, roundUp } from "./module.ts";

/** Pieces begin at multiples of a cache line. */
const PIECE_BYTES = 64;

/**
 * A kernel's memory, handed out from `BASE` on in pieces that stay where they are. What lies behind the last of them is free to be
 * used for anything that is over before the next is taken.
 */
export class Arena {
  readonly kernel: CodeKernel;
  #end: number;
  #buffer: ArrayBufferLike;

  constructor(kernel: CodeKernel = codeKernel()) {
    this.kernel = kernel;
    this.#end = roundUp(BASE, PIECE_BYTES);
    this.#buffer = kernel.reserve(this.#end);
  }

  /** The memory as it is now: void where `take` or `reserve` is called. */
  get buffer(): ArrayBufferLike {
    return this.#buffer;
  }

  /** Where the last piece ends. */
  get end(): number {
    return this.#end;
  }

  /** @throws {RangeError} when memory ends */
  take(bytes: number): number {
    const at = this.#end;
    const end = roundUp(at + bytes, PIECE_BYTES);
    this.reserve(end);
    this.#end = end;
    return at;
  }

  /** Gives back the pieces from `at` on, if none but those has been taken since; or else they are lost. */
  giveBack(at: number, end: number): void {
    if (end === this.#end) this.#end = at;
  }

  /**
   * Makes the memory reach so far.
   *
   * @throws {RangeError} when memory ends
   */
  reserve(end: number): void {
    if (end > this.#buffer.byteLength) this.#buffer = this.kernel.reserve(end);
  }
}
