// Packs the library and checks the tarball as its users meet it.
//
//   node test/package/run.mjs                  all checks
//   node test/package/run.mjs --quick          those that take a minute
//   node test/package/run.mjs --slow           the others
//   node test/package/run.mjs esm kit-1.0      by name
import { CHECKS } from "./checks.mjs";
import { removeScratch } from "./scratch.mjs";

process.on("exit", removeScratch);

const wanted = select(process.argv.slice(2));
let failed = 0;
for (const name of wanted) {
  const started = performance.now();
  try {
    const detail = await CHECKS[name].check();
    print("ok", name, started, detail);
  } catch (error) {
    failed++;
    print("FAILED", name, started);
    console.log(error instanceof Error ? (error.stack ?? error.message) : error);
  }
}
console.log(`${wanted.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function select(args) {
  const names = Object.keys(CHECKS);
  if (args.length === 0) return names;
  const unknown = args.filter((arg) => arg !== "--quick" && arg !== "--slow" && !names.includes(arg));
  if (unknown.length > 0) {
    console.error(`No such check: ${unknown.join(", ")}. There are --quick, --slow, ${names.join(", ")}.`);
    process.exit(2);
  }
  return names.filter((name) => args.includes(name) || args.includes(CHECKS[name].quick ? "--quick" : "--slow"));
}

function print(state, name, started, detail) {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${state.padEnd(7)}${name.padEnd(16)}${seconds.padStart(6)} s${detail ? `  ${detail}` : ""}`);
}
