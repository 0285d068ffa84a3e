import type { Passage } from "./markdown.ts";

/** Shorter comments ("The options.") only make sense beside the code. */
const PROSE_CHARS_MIN = 80;
const PASSAGE_CHARS_MAX = 1200;

const CONTAINER =
  /^(\s*)(?:export |declare |default |abstract )*(?:class|interface|namespace|module|enum|type)\s+["']?([\w$@./-]+)/;
const DECLARATION =
  /^\s*(?:(?:export|declare|default|abstract|static|readonly|protected|public|async|get|set|function|class|interface|type|const|let|var|enum|namespace|module)\s+)*["']?([\w$@./-]+)/;

/**
 * Cuts the documentation comments out of a type declaration file (`.d.ts`), each under the name it documents:
 * `FSWatcher › close`. Comments that say little, repeat each other (overloads) or are marked internal or deprecated stay out.
 *
 * The names come from the text and its indentation: no compiler, as thousands of files are read at the first start.
 */
export function cutDeclarations(source: string): Passage[] {
  const passages: Passage[] = [];
  const seen = new Set<string>();
  let containers: { indent: number; name: string }[] = [];
  let comment: string[] | undefined;
  let pending: string | undefined;

  for (const line of source.split(/\r?\n/)) {
    if (comment !== undefined || /^\s*\/\*\*/.test(line)) {
      comment ??= [];
      comment.push(line);
      if (!line.includes("*/")) continue;
      pending = textOf(comment);
      comment = undefined;
      continue;
    }
    if (line.trim() === "") continue;
    const indent = line.search(/\S/);
    containers = containers.filter((container) => container.indent < indent);
    const name = DECLARATION.exec(line)?.[1];
    if (pending !== undefined && name !== undefined && !seen.has(pending)) {
      seen.add(pending);
      passages.push({ heading: [...containers.map((container) => container.name), name].join(" › "), text: pending });
    }
    pending = undefined;
    const container = CONTAINER.exec(line);
    if (container !== null) containers.push({ indent, name: container[2]! });
  }
  return passages;
}

/** The comment without stars and tags, or undefined when it is not worth an answer. */
function textOf(comment: string[]): string | undefined {
  const text = comment
    .map((line) => line.replace(/^\s*(\/\*\*|\*(?!\/))? ?|\s*\*\/\s*$/g, ""))
    .join("\n")
    .trim();
  if (/@(internal|deprecated|private|hidden|ignore)\b/.test(text)) return undefined;
  const prose = text.split(/^\s*(@|```)/m)[0]!.trim();
  if (prose.length < PROSE_CHARS_MIN) return undefined;
  const plain = text
    .replace(/\{@link(?:code|plain)?\s+([^}|]*)(?:\|[^}]*)?\}/g, "$1")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/https?:\/\/\S+/g, "")
    .replace(/^```.*$/gm, "")
    .replace(/^@(since|see|license|author|module|category|type|template)\b.*$/gm, "")
    .replace(/^@(returns?|throws?|default)\b/gm, (_, tag: string) => `${tag[0]!.toUpperCase()}${tag.slice(1)}:`)
    .replace(/^@\w+ ?/gm, "")
    .replace(/\n\s*\n+/g, "\n\n")
    .trim();
  if (plain.length <= PASSAGE_CHARS_MAX) return plain;
  const lineEnd = plain.lastIndexOf("\n", PASSAGE_CHARS_MAX);
  return plain.slice(0, lineEnd > 0 ? lineEnd : PASSAGE_CHARS_MAX).trimEnd();
}
