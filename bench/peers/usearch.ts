import { type Engine, type Load, loadPeer } from "./peer.ts";

interface Usearch {
  MetricKind: Record<"Cos" | "IP" | "L2sq", string>;
  exactSearch(
    rows: Float32Array,
    queries: Float32Array,
    dimensions: number,
    count: number,
    metric: string,
    threads: number,
  ): { keys: BigUint64Array };
}

/** `exactSearch` of one thread over rows in memory: keys only, no rows. Unit vectors by inner product, which is its fastest. */
export function usearch({ set, vectors, k }: Load): Engine | undefined {
  const peer = loadPeer<Usearch>("usearch");
  if (!peer) return undefined;
  const metric = peer.MetricKind[set.metric === "l2" ? "L2sq" : set.isUnit ? "IP" : "Cos"];
  return {
    name: "usearch, exactSearch",
    search: (query) =>
      Array.from(peer.exactSearch(vectors, query, set.dimensions, k, metric, 1).keys, (key) => Number(key) + 1),
    close: () => {},
  };
}
