/**
 * Whether a `tablesFilter` keeps drizzle-kit's push and pull away from a table, by the rules of both lines: no pattern lets
 * everything in; a negation that hits shuts out whatever the others say; else one pattern has to let the table in.
 */
export function isShutOut(table: string, filter: readonly string[]): boolean {
  if (filter.length === 0) return false;
  const verdicts = filter.flatMap((pattern) => verdict(table, pattern));
  return verdicts.length === 0 || verdicts.includes(false);
}

function verdict(table: string, pattern: string): boolean[] {
  if (!pattern.startsWith("!")) return globToRegExp(pattern).test(table) ? [true] : [];
  return [!globToRegExp(pattern.slice(1)).test(table)];
}

/** The part of the globs of drizzle-kit that table names have a use for: `*`, `?`, `[abc]`, `{a,b}`. */
function globToRegExp(glob: string): RegExp {
  const source = glob.replace(/\*+|\?|[{},]|\[[^\]]*\]|[\\^$.|+()[\]]/g, (piece) => {
    if (piece.startsWith("*")) return ".*";
    if (piece.startsWith("[")) return piece.length > 1 ? piece.replace("[!", "[^") : "\\[";
    return { "?": ".", "{": "(?:", "}": ")", ",": "|" }[piece] ?? `\\${piece}`;
  });
  try {
    return new RegExp(`^(?:${source})$`, "s");
  } catch {
    return /^\b$/; // no table has this name
  }
}
