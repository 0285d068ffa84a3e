import Table from "cli-table3";
import colors from "picocolors";
import { pathInPackage } from "./corpus.ts";
import type { Answer, BothHit, Hit } from "./search.ts";
import { tokenize } from "./tokenizer.ts";

const WIDTH_MIN = 60;
const WIDTH_MAX = 120;
const MEASURE_WIDTH = 10;
const PARTS_WIDTH = 18;
const SNIPPET_CHARS = 180;

/**
 * The hits as three tables as wide as the terminal, by meaning, by words and by both, the last with what either side says of
 * each hit; below them how long they took.
 */
export function formatAnswer(question: string, answer: Answer, terminalColumns: number | undefined): string {
  const { hits, wordHits, bothHits, embedMs, nearestMs, searchMs, hybridMs } = answer;
  const width = Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, terminalColumns ?? 100));
  const byMeaning = hits.map((hit) => ({ ...hit, measure: hit.$distance.toFixed(3) }));
  const byWords = wordHits.map((hit) => ({ ...hit, measure: hit.$score.toFixed(2) }));
  const byBoth = bothHits.map((hit) => ({ ...hit, measure: `${hit.$score.toFixed(3)}\n${colors.dim(partsOf(hit))}` }));
  const times = [
    `embedding the question ${milliseconds(embedMs)}`,
    `nearest ${milliseconds(nearestMs)}`,
    `search ${milliseconds(searchMs)}`,
    `hybrid ${milliseconds(hybridMs)}`,
  ];
  return [
    `by meaning\n${tableOf("distance", byMeaning, question, { width })}`,
    `by words\n${tableOf("score", byWords, question, { width })}`,
    `by both\n${tableOf("score", byBoth, question, { width, measureWidth: PARTS_WIDTH })}`,
    colors.dim(`${milliseconds(embedMs + nearestMs + searchMs + hybridMs)} in all (${times.join(", ")})`),
  ].join("\n");
}

/** The parts of a hybrid score: rank and value by words and by meaning; a dash for a rank too far down to be counted. */
function partsOf({ $text, $vector }: BothHit): string {
  const words = $text ? `#${$text.rank ?? "–"} ${$text.score.toFixed(2)}` : "none";
  const meaning = $vector ? `#${$vector.rank ?? "–"} ${$vector.distance.toFixed(3)}` : "none";
  return `words ${words}\nmeaning ${meaning}`;
}

interface Line extends Passage {
  readonly measure: string;
}

type Passage = Omit<Hit, "$distance">;

interface Widths {
  readonly width: number;
  readonly measureWidth?: number;
}

function tableOf(
  measure: string,
  lines: readonly Line[],
  question: string,
  { width, measureWidth = MEASURE_WIDTH }: Widths,
): string {
  const sourceWidth = Math.floor(width / 4);
  const table = new Table({
    head: [measure, "source", "passage"],
    // Three columns have four borders.
    colWidths: [measureWidth, sourceWidth, width - measureWidth - sourceWidth - 4],
    wordWrap: true,
    // cli-table3 colours even what is piped into a file.
    style: colors.isColorSupported ? { head: ["cyan"], border: ["gray"] } : { head: [], border: [] },
  });
  for (const line of lines) table.push([line.measure, sourceOf(line), passageOf(line, question)]);
  return table.toString();
}

function sourceOf({ package: name, version, file }: Passage): string {
  return `${colors.bold(name)} ${version}\n${colors.dim(pathInPackage(file, name))}`;
}

function passageOf({ heading, text }: Passage, question: string): string {
  const snippet = snippetOf(text, new Set(tokenize(question)));
  return heading === "" ? snippet : `${colors.green(heading)}\n${snippet}`;
}

/**
 * The part of a passage that has most of the question's words, from the beginning of a line. Of equals the first line, or
 * else the last: the words come soon after it.
 */
function snippetOf(text: string, questionWords: Set<string>): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  let best = { line: 0, snippet: "", known: -1 };
  lines.forEach((_, line) => {
    const snippet = cut((line === 0 ? "" : "… ") + lines.slice(line).join(" ").replace(/\s+/g, " "));
    const known = new Set(tokenize(snippet).filter((word) => questionWords.has(word))).size;
    if (known > best.known || (known === best.known && best.line > 0)) best = { line, snippet, known };
  });
  return best.snippet;
}

function cut(line: string): string {
  return line.length <= SNIPPET_CHARS ? line : `${line.slice(0, line.lastIndexOf(" ", SNIPPET_CHARS))} …`;
}

export function milliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(1)} ms`;
}
