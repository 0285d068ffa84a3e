import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The examples import the library by its name; in tests they get the sources, so that nothing has to be built first. */
const library = [
  { find: /^drizzle-vector\/(schema|kit|eval)$/, replacement: path("./src/$1.ts") },
  { find: /^drizzle-vector$/, replacement: path("./src/index.ts") },
];

/** Where Drizzle makes no difference: crashes, damage and other programs. */
const once = ["test/crash/**", "test/fuzz/**", "test/foreign/**", "test/reliability/**"];

/** The same tests run on both lines of Drizzle; the second line lives in `test/drizzle-1.0/node_modules`. */
export default defineConfig({
  test: {
    // The default leaves one core idle: of two, half.
    maxWorkers: "100%",
    projects: [
      { resolve: { alias: library }, test: { name: "drizzle 0.x", include: ["test/**/*.test.ts"] } },
      {
        resolve: {
          alias: [
            ...library,
            { find: /^drizzle-orm(\/.*)?$/, replacement: `${path("./test/drizzle-1.0/node_modules/drizzle-orm")}$1` },
          ],
        },
        test: { name: "drizzle 1.0", include: ["test/**/*.test.ts"], exclude: [...configDefaults.exclude, ...once] },
      },
    ],
  },
});
