/** Chinese, Japanese and the scripts of South-East Asia: there is no space between words. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
/** Arabic and Hebrew put articles and pronouns on to a word at both ends, Korean its particles behind. */
const GLUED = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Hangul}]/u;

/** Whether a text holds a script without spaces. */
export function isUnspaced(text: string): boolean {
  return UNSPACED.test(text);
}

/**
 * The trigrams to look for in a trigram index beside a word, or instead of it where the script puts no spaces between words,
 * if one of the terms is enough. A word of other scripts is found anywhere inside another, and with its trigrams beside it
 * almost anything is (nDCG@10 0.504 against 0.478 on cranfield, in English): none. A run without spaces is a sentence that no
 * row repeats (0.884 against 0.108 on xquad-zh). Arabic gains from both (0.950 against 0.909 on xquad-ar).
 */
export function trigramsOf(word: string): readonly string[] {
  return UNSPACED.test(word) || GLUED.test(word) ? windows(word, 3) : [];
}

/**
 * The beginnings of words to look for in an index of words, instead of a word of a script without spaces, if one of the terms is
 * enough. Such an index holds whole runs, from one punctuation mark to the next, and a sentence that a person types is none of
 * them; but some runs begin with a part of it. Two and three characters each: nDCG@10 0.117 to 0.727 on a third of xquad-zh
 * over unicode61; two alone 0.688, three alone 0.591, four besides 0.738 for half as many terms again. Trigrams stay the better
 * choice (0.880).
 *
 * @param isWord - matches a character that the index makes words of: a mark it does not ends a run
 */
export function beginningsOf(word: string, isWord: RegExp): readonly string[] {
  const runs = runsOf(word, isWord);
  // One letter between two marks, as in Thai, begins far too many words.
  const long = runs.filter((run) => [...run].length > 1);
  if (long.length === 0) return runs;
  return long.flatMap((run) => (isUnspaced(run) ? [...windows(run, 2), ...windows(run, 3)] : [run]));
}

/** The runs of characters with spaces between their words, and of those without. */
function runsOf(word: string, isWord: RegExp): string[] {
  const runs: string[] = [];
  let kind: "spaced" | "unspaced" | undefined;
  for (const character of word) {
    const next = !isWord.test(character) ? undefined : isUnspaced(character) ? "unspaced" : "spaced";
    if (next !== undefined && next === kind) runs.push(runs.pop()! + character);
    else if (next !== undefined) runs.push(character);
    kind = next;
  }
  return runs;
}

function windows(word: string, length: number): string[] {
  const characters = [...word];
  return characters
    .slice(length - 1)
    .map((_, i) => characters.slice(i, i + length).join(""))
    .filter((window) => /[\p{L}\p{N}]/u.test(window));
}
