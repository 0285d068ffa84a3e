import { dataSet, inFolder, openIndexed } from "../lib/data-set.ts";
import { nearest, optimize } from "../lib/library.ts";
import { median } from "../lib/measure.ts";
import { type Finding, type Findings, ms, times } from "../lib/report.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    module: object,
    imports: object,
  ) => {
    readonly exports: {
      memory: { buffer: ArrayBuffer; grow(pages: number): number };
      fold(from: number, bytes: number): number;
    };
  };
};

/** The least that can be done with bytes: they are loaded, 16 at a time in four strands, and combined by xor. */
const XOR_SOURCE = `
export function fold(from: usize, bytes: usize): i32 {
  let a = i32x4.splat(0), b = a, c = a, d = a;
  for (let at = from, end = from + bytes; at < end; at += 64) {
    a = v128.xor(a, v128.load(at));
    b = v128.xor(b, v128.load(at, 16));
    c = v128.xor(c, v128.load(at, 32));
    d = v128.xor(d, v128.load(at, 48));
  }
  return i32x4.extract_lane(v128.xor(v128.xor(a, b), v128.xor(c, d)), 0);
}
`;
const PAGE_BYTES = 65_536;
const FROM = 1024;
const QUERIES = 20;

/**
 * What the scan of the codes takes, as `explain()` tells it, with selection and everything, beside a kernel that only loads as
 * many bytes.
 */
export async function kernel({ seed, rounds, rows, kinds }: Options): Promise<Findings> {
  const findings: Finding[] = [];
  const fold = await xorKernel();
  for (const kind of kinds) {
    const set = dataSet({ kind, rows, dimensions: DIMENSIONS, seed });
    if (!set) continue;
    await inFolder(async (folder) => {
      const { db, docs, docsSearch } = openIndexed(set, folder);
      await optimize(db, docsSearch);
      const queries = set.queries(QUERIES);
      const [scans, folds, read]: [number[], number[], number[]] = [[], [], []];
      for (let round = -1; round < rounds; round++) {
        for (const query of queries) {
          const told = nearest(db, docs.embedding, query, { limit: LIMIT }).explain();
          // What is read again from the table is not the kernel's.
          const bytes = told.bytesRead - told.rowsRescored * set.dimensions * 4;
          if (round >= 0) {
            scans.push(told.ms.scan);
            read.push(bytes);
          }
        }
        const bytes = Math.ceil(median(read.length > 0 ? read : [set.floatBytes / 4]) / 64) * 64;
        for (let i = 0; i < QUERIES; i++) {
          const start = performance.now();
          fold(bytes);
          if (round >= 0) folds.push(performance.now() - start);
        }
      }
      db.$client.close();
      const [ours, bare] = [median(scans), median(folds)];
      findings.push({
        what: `${set.name}: scan of ${(median(read) / 2 ** 20).toFixed(1)} MB of codes`,
        measured: `${ms(ours)}; loads and xor alone ${ms(bare)}: ${times(ours / bare)}`,
        target: "≤ 2x",
        met: ours / bare <= 2,
      });
    });
  }
  return { title: "The kernel against loads and xor over as many bytes", rows: findings };
}

async function xorKernel(): Promise<(bytes: number) => number> {
  const { error, stderr, ...result } = await compile();
  if (error) throw new Error(String(stderr), { cause: error });
  const { memory, fold } = new WebAssembly.Instance(new WebAssembly.Module(result.binary!), {}).exports;
  let size = 0;
  return (bytes) => {
    if (bytes + FROM > size) {
      const pages = Math.ceil((bytes + FROM - size) / PAGE_BYTES);
      memory.grow(pages);
      size += pages * PAGE_BYTES;
      // Memory that was never written is one page of zeros, again and again, and comes from the nearest cache.
      new Uint8Array(memory.buffer).fill(7);
    }
    return fold(FROM, bytes);
  };
}

interface Compiler {
  main(
    args: string[],
    host: {
      readFile(name: string): string | null;
      writeFile(name: string, contents: unknown): void;
      listFiles(folder: string): string[];
    },
  ): Promise<{ error: Error | null; stderr: object }>;
}

/** The compiler of the library's own kernels. Its types redeclare the console, so they are not let in. */
const COMPILER: string = "assemblyscript/asc";

async function compile() {
  const { default: asc } = (await import(COMPILER)) as { default: Compiler };
  let binary: Uint8Array | undefined;
  const flags = ["--runtime=stub", "--enable=simd", "-O3", "--noAssert", "--disable=mutable-globals"];
  const { error, stderr } = await asc.main(["xor.ts", "--outFile=xor.wasm", ...flags], {
    readFile: (name) => (name === "xor.ts" ? XOR_SOURCE : null),
    writeFile: (name, contents) => {
      if (name === "xor.wasm") binary = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  return { error, stderr, binary };
}
