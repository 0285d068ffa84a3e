// Compiles src/kernel/assembly to WASM and writes the bytes, base64, into src/kernel/wasm-bytes.ts.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
mkdirSync(`${root}/build`, { recursive: true });
const { error, stderr } = await asc.main(
  [
    "src/kernel/assembly/index.ts",
    "--outFile=build/kernel.wasm",
    "--textFile=build/kernel.wat",
    "--runtime=stub",
    "--enable=simd",
    "--importMemory",
    "--maximumMemory=65536",
    "-O3",
    "--noAssert",
    "--disable=mutable-globals",
  ],
  { baseDir: root },
);
if (error) {
  console.error(stderr.toString());
  throw error;
}
const base64 = readFileSync(`${root}/build/kernel.wasm`).toString("base64");
writeFileSync(
  `${root}/src/kernel/wasm-bytes.ts`,
  `/** Made by scripts/build-kernel.mjs from src/kernel/assembly; not committed. */\nexport const WASM_BASE64 =\n  "${base64}";\n`,
);
