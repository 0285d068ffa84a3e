import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The same tests run on both lines of Drizzle; the second line lives in `test/drizzle-1.0/node_modules`. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: "drizzle 0.x", include: ["test/**/*.test.ts"] } },
      {
        resolve: {
          alias: [
            { find: /^drizzle-orm(\/.*)?$/, replacement: `${path("./test/drizzle-1.0/node_modules/drizzle-orm")}$1` },
          ],
        },
        test: { name: "drizzle 1.0", include: ["test/**/*.test.ts"] },
      },
    ],
  },
});
