import { defineConfig } from "tsdown";

// Chunks keep their names from release to release.
const common = { platform: "node", target: "node20", fixedExtension: false, hash: false } as const;

export default defineConfig([
  {
    ...common,
    entry: ["src/index.ts", "src/schema.ts", "src/kit.ts", "src/eval.ts"],
    format: ["esm", "cjs"],
    dts: true,
  },
  {
    ...common,
    entry: ["src/cli/cli.ts"],
    format: "esm",
    dts: false,
    clean: false,
    // Apart from those of the library, which lie in the same folder.
    outputOptions: { chunkFileNames: "cli-[name].js" },
  },
]);
