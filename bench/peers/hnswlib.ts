import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FOLDER } from "../lib/data-set.ts";
import { type Load, loadPeer } from "./peer.ts";

interface HierarchicalNsw {
  initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void;
  addPoint(point: number[], label: number): void;
  setEf(ef: number): void;
  searchKnn(query: number[], k: number): { neighbors: number[] };
  readIndexSync(file: string): void;
  writeIndexSync(file: string): void;
}

interface HnswlibNode {
  HierarchicalNSW: new (space: "cosine" | "l2", dimensions: number) => HierarchicalNsw;
}

export const M = 16;
export const EF_CONSTRUCTION = 200;

export interface Hnsw {
  /** Of the run that built it, which may be an earlier one. */
  readonly buildMs: number;
  setEf(ef: number): void;
  /** Ids only; a query is an array of plain numbers, as the peer takes it. */
  search(query: number[]): number[];
}

/** hnswlib-node over the rows, read from the bench's folder where an earlier run has built it: that takes a minute and more. */
export function hnswlib({ set, vectors, k }: Omit<Load, "folder">): Hnsw | undefined {
  const peer = loadPeer<HnswlibNode>("hnswlib-node");
  if (!peer) return undefined;
  const index = new peer.HierarchicalNSW(set.metric, set.dimensions);
  const file = join(FOLDER, `${set.name}-m${M}-ef${EF_CONSTRUCTION}.hnsw`);
  if (!existsSync(`${file}.json`)) {
    console.log(`building hnswlib-node's index of ${set.name} …`);
    index.initIndex({ maxElements: set.rows, m: M, efConstruction: EF_CONSTRUCTION, randomSeed: set.seed });
    let buildMs = 0;
    for (let row = 0; row < set.rows; row++) {
      const point = Array.from(vectors.subarray(row * set.dimensions, (row + 1) * set.dimensions));
      const start = performance.now();
      index.addPoint(point, row + 1);
      buildMs += performance.now() - start;
    }
    index.writeIndexSync(`${file}.unfinished`);
    renameSync(`${file}.unfinished`, file);
    writeFileSync(`${file}.json`, JSON.stringify({ buildMs }));
  } else {
    index.readIndexSync(file);
  }
  return {
    ...(JSON.parse(readFileSync(`${file}.json`, "utf8")) as { buildMs: number }),
    setEf: (ef) => index.setEf(ef),
    search: (query) => index.searchKnn(query, k).neighbors,
  };
}
