// npm run test:model | test:crash | test:soak | test:fuzz [-- seconds]: one part of the proof, for as long as is asked.
import { spawnSync } from "node:child_process";

const [part, seconds = "60"] = process.argv.slice(2);
const PARTS = { model: ["test/model"], crash: ["test/crash"], soak: ["test/foreign"], fuzz: ["test/fuzz"] };
if (!Object.hasOwn(PARTS, part ?? "") || !(Number(seconds) > 0)) {
  console.error(
    `expected one of ${Object.keys(PARTS).join(", ")} and a number of seconds, got ${process.argv.slice(2).join(" ")}`,
  );
  process.exit(2);
}
const { status } = spawnSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", ...PARTS[part], "--project", "drizzle 0.x*", "--disable-console-intercept"],
  { stdio: "inherit", env: { ...process.env, RELIABILITY_SECONDS: seconds } },
);
process.exit(status ?? 1);
