/**
 * Leaves out of a sequence whatever is not needed for it to fail: halves first, then less and less, for as long as a minute.
 *
 * @see Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002 (ddmin)
 */
export async function smallest<T>(
  all: readonly T[],
  fails: (some: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  const end = performance.now() + 60_000;
  let kept = all;
  for (let size = Math.ceil(all.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < kept.length && performance.now() < end; ) {
      const without = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (await fails(without)) kept = without;
      else at += size;
    }
  }
  return kept;
}
