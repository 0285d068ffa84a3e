// What keeping the index's tables up to date writes, whether the space of deleted rows comes back, how long the slices of folds
// take, and what a query pays to find that nothing has changed; see README.md.
//
//   npx tsx folds.ts [--only wal,space,slices,unchanged] [--rows 100000] [--changes 100000] [--batches 1,1000] [--seed 1]
import { readFileSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { bytesAtRest } from "./exact/memory.ts";
import { seeded } from "./lib/data.ts";
import { copyOf, type DataSet, dataSet, inFolder, openDb, openIndexed, schemaOf } from "./lib/data-set.ts";
import { canPersist, nearest, optimize, tryConfigure } from "./lib/library.ts";
import { type Finding, report, seconds, times } from "./lib/report.ts";

/** What a row's code, norms and id take: the measure of "bytes a row" here. */
const ROW_BYTES = 400;
const TARGET = 10;
const CHANGES_A_TURN = 100;
const CHANGES_A_QUERY = 1000;

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100000" },
    changes: { type: "string", default: "100000" },
    batches: { type: "string", default: "1,1000" },
    only: { type: "string", default: "wal,space,slices,unchanged" },
    seed: { type: "string", default: "1" },
  },
});
const [rows, changes, seed] = [values.rows, values.changes, values.seed].map(Number) as [number, number, number];
const set = dataSet({ kind: "like-minilm", rows, dimensions: 384, seed })!;
if (!canPersist)
  console.log("this version of the library does not persist codes: only what its triggers write is measured");

const findings: Finding[] = [];
const parts = values.only.split(",");
for (const batch of !parts.includes("wal") ? [] : values.batches.split(",").map(Number)) {
  const bare = await walOf(set, "bare", batch);
  const manual = await walOf(set, "manual", batch);
  const automatic = await walOf(set, "automatic", batch);
  const unit = ROW_BYTES * changes;
  const share = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MB, ${times(bytes / unit)}`;
  const folds = automatic.bytes - manual.bytes;
  const total = automatic.bytes - bare.bytes;
  findings.push(
    {
      what: `${changes} changes in transactions of ${batch}: WAL without an index`,
      measured: `${share(bare.bytes)} in ${seconds(bare.ms)}`,
    },
    {
      what: "… more with the index's triggers",
      measured: `${share(manual.bytes - bare.bytes)} in ${seconds(manual.ms)}`,
    },
    {
      what: `… more with folds${canPersist ? "" : " (there are none)"}`,
      measured: `${share(folds)} in ${seconds(automatic.ms)}`,
      ...(canPersist ? { target: `≤ ${TARGET}x`, met: folds <= TARGET * unit } : {}),
    },
    // With one change a commit, the page of the log that each commit writes is 10x by itself.
    { what: "… the index in all", measured: share(total), target: `≤ ${TARGET}x`, met: total <= TARGET * unit },
  );
}
if (parts.includes("space")) findings.push(await spaceOf(set));
if (parts.includes("slices") && canPersist) findings.push(...(await slicesOf(set)));
if (parts.includes("unchanged")) findings.push(await unchangedOf(set));
report("folds", { title: `Upkeep; writes as multiples of ${ROW_BYTES} B a change`, rows: findings });

type Upkeep = "bare" | "manual" | "automatic";

/** Bytes of the write-ahead log after the changes, never checkpointed, queries in between and a fold at the end. */
function walOf(set: DataSet, upkeep: Upkeep, batch: number): Promise<{ bytes: number; ms: number }> {
  return inFolder(async (folder) => {
    const opened =
      upkeep === "bare"
        ? { db: openDb(copyOf(set, folder), schemaOf(set.dimensions, set.metric)), file: `${folder}/bench.db` }
        : openIndexed(set, folder);
    const { db, file } = opened;
    const { docs, docsSearch } = schemaOf(set.dimensions, set.metric);
    if (upkeep === "manual") tryConfigure(db, { maintenance: "manual" });
    if (upkeep !== "bare") await optimize(db, docsSearch);
    const client = db.$client;
    client.pragma("wal_autocheckpoint = 0");
    client.pragma("wal_checkpoint(TRUNCATE)");

    const random = seeded(set.seed + 11);
    const blobs = set.queries(1000).map((vector) => docs.embedding.mapToDriverValue(vector));
    const query = set.queries(1)[0]!;
    const update = client.prepare("UPDATE docs SET embedding = ? WHERE id = ?");
    const change = () => update.run(blobs[Math.floor(random() * blobs.length)], 1 + Math.floor(random() * set.rows));
    const changeBatch = client.transaction((count: number) => {
      for (let i = 0; i < count; i++) change();
    });
    const start = performance.now();
    for (let done = 0; done < changes; done += batch) {
      changeBatch(Math.min(batch, changes - done));
      const passed = (step: number) => Math.floor(done / step) < Math.floor((done + batch) / step);
      if (upkeep !== "bare" && passed(CHANGES_A_QUERY)) nearest(db, docs.embedding, query, { limit: 10 }).all();
      // A turn of the loop, in which the library may do its upkeep.
      if (passed(CHANGES_A_TURN)) await new Promise((resolve) => setImmediate(resolve));
    }
    const ms = performance.now() - start;
    if (upkeep === "automatic") await optimize(db, docsSearch);
    const { size } = statSync(`${file}-wal`);
    client.close();
    return { bytes: size, ms };
  });
}

/** Bytes of our tables before and after half of the rows are deleted. */
function spaceOf(set: DataSet): Promise<Finding> {
  return inFolder(async (folder) => {
    const { db, docs, docsSearch } = openIndexed(set, folder);
    await optimize(db, docsSearch);
    const before = bytesAtRest(db.$client);
    const random = seeded(set.seed + 13);
    const remove = db.$client.prepare("DELETE FROM docs WHERE id = ?");
    db.$client.transaction(() => {
      for (let id = 1; id <= set.rows; id++) if (random() < 0.5) remove.run(id);
    })();
    nearest(db, docs.embedding, set.queries(1)[0]!, { limit: 10 }).all();
    const deleted = bytesAtRest(db.$client);
    await optimize(db, docsSearch);
    const after = bytesAtRest(db.$client);
    db.$client.close();
    const mb = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
    const what = "our tables; half of the rows deleted; after optimize";
    const measured = `${mb(before)}; ${mb(deleted)}; ${mb(after)}`;
    // Half of the rows, and a quarter more for what is not rewritten at once.
    return canPersist ? { what, measured, target: "≤ 0.63x", met: after <= 0.63 * before } : { what, measured };
  });
}

/** How long the slices of automatic folds hold up the event loop, BEGIN and COMMIT included. */
function slicesOf(set: DataSet): Promise<Finding[]> {
  return inFolder(async (folder) => {
    const { db, docs, docsSearch } = openIndexed(set, folder);
    const half = Math.floor(set.rows * 0.4);
    const query = set.queries(1)[0]!;
    const random = seeded(set.seed + 17);
    const blobs = set.queries(1000).map((vector) => docs.embedding.mapToDriverValue(vector));
    const update = db.$client.prepare("UPDATE docs SET embedding = ? WHERE id = ?");
    db.$client.exec(
      `CREATE TEMP TABLE later AS SELECT * FROM docs WHERE id > ${half}; DELETE FROM docs WHERE id > ${half}`,
    );
    await optimize(db, docsSearch);

    const found: Finding[] = [];
    const fold = async (what: string, change: () => void) => {
      db.$client.transaction(change)();
      found.push(await slicesAfter(what, db, () => nearest(db, docs.embedding, query, { limit: 10 }).all()));
    };
    await fold("a column that has outgrown its model", () =>
      db.$client.exec("INSERT INTO docs SELECT * FROM later; DROP TABLE later"),
    );
    await fold(`${set.rows / 5} changed rows`, () => {
      for (let i = 0; i < set.rows / 5; i++) {
        update.run(blobs[i % blobs.length], 1 + Math.floor(random() * set.rows));
      }
    });
    await fold("all rows, after DDL", () => db.$client.exec("CREATE TABLE other (x)"));
    db.$client.close();
    return found;
  });
}

/** Times each callback of a timer, of which there are none but those of the fold, until it has told that it is done. */
async function slicesAfter(what: string, db: object, ask: () => void): Promise<Finding> {
  const slices: number[] = [];
  const undisturbed: number[] = [];
  const cpu: number[] = [];
  const plain = globalThis.setTimeout;
  const timed = ((callback: () => void, after?: number) =>
    plain(() => {
      const start = performance.now();
      const before = threadTimes();
      callback();
      const ms = performance.now() - start;
      const after = threadTimes();
      slices.push(ms);
      undisturbed.push(ms - (after.waiting - before.waiting));
      cpu.push(after.running - before.running);
    }, after)) as typeof setTimeout;
  let isOver = false;
  const onEvent = ({ code }: { code: string }) => {
    isOver ||= code === "FOLD";
  };
  tryConfigure(db as never, { maintenance: "auto", onEvent });
  globalThis.setTimeout = timed;
  try {
    ask();
    while (!isOver) await new Promise((resolve) => plain(resolve, 20));
  } finally {
    globalThis.setTimeout = plain;
  }
  const longest = Math.max(...undisturbed);
  return {
    what: `slices of a fold: ${what}`,
    measured: `${slices.length} slices: ${spread(slices)} ms; but for waiting for a processor ${spread(undisturbed)} ms; processor time ${spread(cpu)} ms`,
    target: "≤ 10 ms",
    met: longest <= 10,
  };
}

/**
 * Milliseconds for which this thread has run so far, and for which it would have but for others on the machine: a slice that
 * somebody else's work interrupts is no longer than it would be on a machine of its own. Zeros where there is no /proc.
 */
function threadTimes(): { running: number; waiting: number } {
  try {
    const [running, waiting] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ");
    return { running: Number(running) / 1e6, waiting: Number(waiting) / 1e6 };
  } catch {
    return { running: 0, waiting: 0 };
  }
}

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1);
  return `median ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
}

/** What it takes to find that nothing has changed: the first step of a query, in the read transaction it has begun. */
function unchangedOf(set: DataSet): Promise<Finding> {
  return inFolder((folder) => {
    const { db, docs } = openIndexed(set, folder);
    const [query] = set.queries(1);
    const asked = nearest(db, docs.embedding, query!, { limit: 1 });
    const times: number[] = [];
    for (let i = 0; i < 2000; i++) times.push(asked.explain().ms.catchUp! * 1000);
    db.$client.close();
    times.sort((a, b) => a - b);
    const median = times[times.length >> 1]!;
    const measured = `median ${median.toFixed(1)} µs, least ${times[0]!.toFixed(1)} µs`;
    return { what: "finding that nothing has changed", measured, target: "< 20 µs", met: median < 20 };
  });
}
