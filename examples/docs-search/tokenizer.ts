/** Words too frequent to tell one text from another, and the ones questions are made of. */
const STOP_WORDS = new Set(
  `a about above after again all also although always am an and any are as at be because been before being below between
   both but by can cannot could did do does doing don done down during each e.g either else etc even ever every few for
   from further get gets given go had has have having he help her here hers him his how however i if in into is isn it its
   itself just know let like ll ll make makes many may me might mine more most much must my need needs no nor not now of
   off often on once one only or other our ours out over own per please put quite rather re same see shall she should show
   since so some such tell than that the their theirs them then there these they this those through thus to too
   under until up upon us use used uses useful using usually ve very via want wants was way we well were what when where
   whether which while who whose why will with within without would yes yet you your yours`.split(/\s+/),
);

const LENGTH_MIN = 2;
const LENGTH_MAX = 30;

/**
 * The words of a text, in order: lower case, without accents and stop words, reduced to their stems. Identifiers count
 * as the words they are made of, so `foreignKey`, `foreign_key` and "foreign keys" all give `foreign`, `key`.
 */
export function tokenize(text: string): string[] {
  const words = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1 $2") // foreignKey
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1 $2") // SQLTable
    .toLowerCase()
    .match(/\p{L}[\p{L}\p{N}]*/gu);
  return (words ?? [])
    .filter((word) => word.length >= LENGTH_MIN && word.length <= LENGTH_MAX && !STOP_WORDS.has(word))
    .map(stem);
}

/**
 * Takes the commonest English endings off: `watches`, `watched`, `watching` → `watch`; `queries` → `query`.
 *
 * @see Porter, "An algorithm for suffix stripping", 1980, step 1, and a final `e` besides; the later steps merge words
 * (`general`, `generate`) that mean different things in documentation.
 */
function stem(word: string): string {
  if (word.length <= 3) return word;
  const singular = word
    .replace(/sses$/, "ss")
    .replace(/(ch|sh|x|z)es$/, "$1")
    .replace(/([^aeiou])ies$/, "$1y")
    .replace(/([^su])s$/, "$1");
  const base = singular.replace(/([aeiouy].*)(ing|ed)$/, (whole, start: string) =>
    start.length < 2 ? whole : start.replace(/([bdfgmnprt])\1$/, "$1"),
  );
  return base.length > 4 ? base.replace(/e$/, "") : base;
}
