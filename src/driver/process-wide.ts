/**
 * One value a process, also where the ESM and the CommonJS copy of the library meet, or a copy that was loaded again.
 *
 * @param key - names the value and its shape: a shape that changes gets another key, since copies may differ in version
 */
export function processWide<T>(key: string, make: () => T): T {
  const slots = globalThis as unknown as Record<symbol, T | undefined>;
  const symbol = Symbol.for(`drizzle-vector:${key}`);
  slots[symbol] ??= make();
  return slots[symbol];
}
