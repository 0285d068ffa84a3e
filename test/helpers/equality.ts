import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { processWide } from "../../src/driver/process-wide.ts";

/**
 * What Node.js finds strictly equal is equal to `toEqual` as well, in a fraction of the time: 100 kB of bytes in 0.03 ms instead of
 * 400. Anything else goes its usual way: expected values that only describe, `undefined` beside nothing, the report of a failure.
 * Added once a process, though the setup of each test file comes here.
 */
processWide("equality-of-tests", () => {
  expect.addEqualityTesters([(one, other) => isDeepStrictEqual(one, other) || undefined]);
  return true;
});
