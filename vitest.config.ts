import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The examples import the library by its name; in tests they get the sources, so that nothing has to be built first. */
const library = [
  { find: /^drizzle-vector\/(schema|kit|eval)$/, replacement: path("./src/$1.ts") },
  { find: /^drizzle-vector$/, replacement: path("./src/index.ts") },
];

/**
 * A short slice of the proof (RELIABILITY.md), and what the evaluation data say: `npm run test:proof`. Where Drizzle makes no difference, and
 * each file with a process of its own.
 */
const proof = ["test/{model,crash,fuzz,foreign,conformance}/*.test.ts"];

/** Where Drizzle makes no difference: kernels, codes and chunks, memory, threads, and the quality of ranking. */
const once = [
  "test/{codec,kernel,vector,reliability}/**",
  "test/upgrade/format.test.ts",
  "test/query/{search-hostile,recall,nearest-many-threads}.test.ts",
  "test/migration/triggers-model.test.ts",
  "test/maintenance/{tune,release}.test.ts",
  "test/cli/*.test.ts",
];

/** What is about a process as a whole, its memory and its threads, or starts and kills others: each file has one of its own. */
const alone = [
  "test/vector/{memory,scan-team}.test.ts",
  "test/kernel/free-bytes.test.ts",
  "test/query/nearest-many-threads.test.ts",
  "test/maintenance/release.test.ts",
];

/** Real databases, and files that are written through: on a busy machine a second becomes ten. Projects do not inherit it. */
const common = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  setupFiles: [path("./test/helpers/equality.ts")],
};

/** All others share two processes, as the parts of an app do: loading Drizzle and the library for each file took a third of their time. */
const shared = { ...common, isolate: false };

/** The same tests run on both lines of Drizzle; the second line lives in `test/drizzle-1.0/node_modules`. */
export default defineConfig({
  test: {
    // The default leaves one core idle: of two, half.
    maxWorkers: "100%",
    projects: [
      {
        resolve: { alias: library },
        test: {
          ...shared,
          name: "drizzle 0.x",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...alone, ...proof],
        },
      },
      { resolve: { alias: library }, test: { ...common, name: "drizzle 0.x, alone", include: alone } },
      { resolve: { alias: library }, test: { ...common, name: "drizzle 0.x, proof", include: proof } },
      {
        resolve: {
          alias: [
            ...library,
            { find: /^drizzle-orm(\/.*)?$/, replacement: `${path("./test/drizzle-1.0/node_modules/drizzle-orm")}$1` },
          ],
        },
        test: {
          ...shared,
          name: "drizzle 1.0",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...once, ...proof],
        },
      },
    ],
  },
});
