// What the library's types cost the compiler, as `tsc --extendedDiagnostics` counts it: instantiations are exact and do not
// depend on the machine.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const FLAGS =
  "--noEmit --strict --skipLibCheck --target ES2022 --module preserve --moduleResolution bundler --types node --extendedDiagnostics";

function costOf(file: string): { types: number; instantiations: number; "check s": number } {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const { stdout, status } = spawnSync("npx", ["tsc", ...FLAGS.split(" "), path], { encoding: "utf8" });
  if (status !== 0) throw new Error(stdout);
  const figure = (name: string) => Number.parseFloat(new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(stdout)![1]!);
  return { types: figure("Types"), instantiations: figure("Instantiations"), "check s": figure("Check time") };
}

const base = costOf("base.ts");
const library = costOf("library.ts");
console.table({
  "Drizzle alone": base,
  "with the library": library,
  difference: {
    types: library.types - base.types,
    instantiations: library.instantiations - base.instantiations,
    "check s": Number((library["check s"] - base["check s"]).toFixed(2)),
  },
});
