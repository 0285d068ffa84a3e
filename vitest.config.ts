import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The examples import the library by its name; in tests they get the sources, so that nothing has to be built first. */
const library = [
  { find: /^drizzle-vector\/(schema|kit|eval)$/, replacement: path("./src/$1.ts") },
  { find: /^drizzle-vector$/, replacement: path("./src/index.ts") },
];

/** Where Drizzle makes no difference: kernels, codes and chunks, memory, threads, crashes, damage, other programs, and the quality of ranking. */
const once = [
  "test/{codec,kernel,vector,model,crash,fuzz,foreign,reliability}/**",
  "test/conformance/**",
  "test/upgrade/format.test.ts",
  "test/query/{search-hostile,recall,nearest-many-threads}.test.ts",
  "test/migration/triggers-model.test.ts",
  "test/maintenance/{tune,release}.test.ts",
  "test/cli/*.test.ts",
];

/** Real databases, and files that are written through: on a busy machine a second becomes ten. Projects do not inherit it. */
const patience = { testTimeout: 120_000, hookTimeout: 120_000 };

/** The same tests run on both lines of Drizzle; the second line lives in `test/drizzle-1.0/node_modules`. */
export default defineConfig({
  test: {
    // The default leaves one core idle: of two, half.
    maxWorkers: "100%",
    projects: [
      { resolve: { alias: library }, test: { ...patience, name: "drizzle 0.x", include: ["test/**/*.test.ts"] } },
      {
        resolve: {
          alias: [
            ...library,
            { find: /^drizzle-orm(\/.*)?$/, replacement: `${path("./test/drizzle-1.0/node_modules/drizzle-orm")}$1` },
          ],
        },
        test: {
          ...patience,
          name: "drizzle 1.0",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...once],
        },
      },
    ],
  },
});
