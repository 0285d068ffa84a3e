import { type Answered, quantile, summaryOf } from "./recall.ts";

/** What one setting of `recall` delivers and costs. */
export interface TuneSetting {
  /** The `recall` that queries asked for; 1 is exact. */
  recall: number;
  /** How most queries were answered. */
  plan: Answered["plan"];
  /** Why the index was not asked, or null. */
  fallback: string | null;
  /** Share of the true nearest rows that was found: rows no farther than the true `limit`-th. */
  measured: {
    mean: number;
    /** Of the mean; by chance alone it is off by twice as much in one of twenty runs. */
    standardError: number;
    /** One query in twenty found no more than this. */
    p5: number;
  };
  /** Milliseconds of the search, without the reading of the hits' own columns, which is the same for all settings. */
  ms: { median: number; p95: number };
  /** Vectors read and scored, median. */
  rowsRescored: number;
  /** Bytes of vectors scored and codes scanned, median. */
  bytesRead: number;
}

/** What `tune` suggests. */
export interface TuneRecommendation {
  /** What to ask for; 1 is exact. */
  recall: number;
  /** Why, in a sentence without a full stop. */
  reason: string;
}

/** Times below this ratio are no difference: clocks are not that good. */
const AS_FAST = 1.1;
/** What less than all has to gain over exact answers, which have no gaps. */
const GAIN_MIN = 1.2;
/** So many milliseconds nobody notices, and clocks on a busy machine do not tell. */
const GAIN_MS_MIN = 0.5;

/** What the answers to all queries come to. */
export function settingOf(recall: number, answers: readonly Answered[]): TuneSetting {
  const median = (of: (answer: Answered) => number) => quantile(answers.map(of), 0.5);
  const times = answers.flatMap(({ ms }) => ms ?? []);
  const plan = mostOften(answers.map((answer) => answer.plan));
  return {
    recall,
    plan,
    fallback: answers.find((answer) => answer.plan === plan)!.fallback,
    measured: summaryOf(answers.map((answer) => answer.recall)),
    ms: { median: quantile(times, 0.5), p95: quantile(times, 0.95) },
    rowsRescored: median(({ rowsRescored }) => rowsRescored),
    bytesRead: median(({ bytesRead }) => bytesRead),
  };
}

function mostOften<T>(values: readonly T[]): T {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((most, one) => (one[1] > most[1] ? one : most))[0];
}

/**
 * The cheapest setting that delivers what is asked for. One below that recall promises less, and may have been lucky: it has to
 * exceed it by twice the standard error.
 */
export function recommended(settings: readonly TuneSetting[], asked: number): TuneRecommendation {
  const [exact, ...others] = settings as [TuneSetting, ...TuneSetting[]];
  const delivering = others.filter(({ recall, measured: { mean, standardError } }) =>
    recall >= asked ? mean >= asked : mean - 2 * standardError >= asked,
  );
  const time = ({ ms }: TuneSetting) => `${shortNumber(ms.median)} ms`;
  if (asked === 1)
    return { recall: 1, reason: `all of the true nearest rows were asked for; they take ${time(exact)}` };
  if (delivering.length === 0) {
    return {
      recall: 1,
      reason: `no other setting found ${asked} of the true nearest rows; exact answers take ${time(exact)}`,
    };
  }
  const least = Math.min(...delivering.map(({ ms }) => ms.median));
  // Of those that cost the same, the one that promises most: they come by falling recall.
  const best = delivering.find(({ ms }) => ms.median <= least * AS_FAST)!;
  const isFaster = exact.ms.median > best.ms.median * GAIN_MIN && exact.ms.median - best.ms.median >= GAIN_MS_MIN;
  if (best.plan !== "1-bit scan" || !isFaster) {
    return {
      recall: 1,
      reason: `exact answers take ${time(exact)}, recall ${best.recall} takes ${time(best)}: there is nothing to gain`,
    };
  }
  const times = exact.ms.median / best.ms.median;
  return {
    recall: best.recall,
    reason: `it found ${shareText(best.measured.mean)} of the true nearest rows in ${time(best)}, ${times.toFixed(times < 10 ? 1 : 0)} times as fast as exact answers in ${time(exact)}`,
  };
}

/** Never rounded up: only all is all. */
function shareText(share: number): string {
  return share === 1 ? "all" : String(Math.floor(share * 1000) / 1000);
}

/** Three digits that tell. */
function shortNumber(value: number): string {
  return String(Number(value.toPrecision(3)));
}
