/** A piece of a document small enough to be an answer. */
export interface Passage {
  /** The headings above it, outermost first, joined with ` › `; empty before the first heading. */
  heading: string;
  /** Prose and code, without Markdown's own signs for links, images, tables and HTML. */
  text: string;
}

type Block = { kind: "heading"; level: number; text: string } | { kind: "prose" | "code"; text: string };

/** Longer sections are cut: the vector of a whole chapter lies near to everything and nothing. */
const PASSAGE_CHARS_MAX = 700;
/** The first lines of an example name what it is about; the rest repeats them. */
const CODE_CHARS_MAX = 900;
/** Less prose than this ("See below.") answers no question; a heading with code alone has none at all. */
const PROSE_CHARS_MIN = 15;

const SECTIONS_OF_PAPERWORK =
  /^(table of )?contents?\b|^toc$|licen[cs]e|contribut|sponsor|backers|^credits|^authors?$|^maintainers|change ?log|^history$|^release notes|acknowledg|^badges$|^security contact|code of conduct|^thanks/i;

/** Cuts a Markdown document at its headings into passages, without the sections about licence, sponsors and the like. */
export function cutMarkdown(markdown: string): Passage[] {
  const passages: Passage[] = [];
  const path: string[] = [];
  let section: Block[] = [];

  const closeSection = () => {
    const headings = path.filter(Boolean);
    if (!headings.some((heading) => SECTIONS_OF_PAPERWORK.test(heading))) {
      for (const text of pack(section)) passages.push({ heading: headings.join(" › "), text });
    }
    section = [];
  };

  for (const block of blocksOf(markdown)) {
    if (block.kind !== "heading") {
      section.push(block);
      continue;
    }
    closeSection();
    // A heading ends all headings of its own level and below; levels that were left out stay empty.
    path.length = block.level - 1;
    path[block.level - 1] = block.text;
  }
  closeSection();
  return passages;
}

/** Headings, paragraphs and fenced code in their order. */
function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let lines: string[] = [];
  let fence = "";

  const close = (kind: "prose" | "code") => {
    const source = lines.join("\n");
    const text = kind === "code" ? shorten(source) : isNavigation(source) ? "" : plain(source);
    if (text !== "") blocks.push({ kind, text });
    lines = [];
  };

  for (const line of withoutComments(markdown).split(/\r\n?|\n/)) {
    const mark = /^\s*(`{3,}|~{3,})[^`]*$/.exec(line)?.[1] ?? "";
    const heading = headingIn(line);
    const underline = /^\s{0,3}(=|-)\1{2,}\s*$/.exec(line)?.[1];
    if (fence !== "") {
      // Inside a fence nothing is a heading: a `#` there starts a comment of some language.
      if (mark.startsWith(fence) && line.trim() === mark) {
        close("code");
        fence = "";
      } else {
        lines.push(line);
      }
    } else if (mark !== "") {
      close("prose");
      fence = mark;
    } else if (heading !== undefined) {
      close("prose");
      blocks.push(heading);
    } else if (underline !== undefined && lines.length === 1) {
      blocks.push({ kind: "heading", level: underline === "=" ? 1 : 2, text: title(lines[0]!) });
      lines = [];
    } else if (line.trim() === "") {
      close("prose");
    } else {
      lines.push(line);
    }
  }
  close(fence === "" ? "prose" : "code");
  return blocks;
}

/** `## Title ##` or a one-line `<h2>Title</h2>`. */
function headingIn(line: string): Block | undefined {
  const hashes = /^ {0,3}(#{1,6})\s+(.*?)[\s#]*$/.exec(line);
  if (hashes !== null) return { kind: "heading", level: hashes[1]!.length, text: title(hashes[2]!) };
  const html = /^\s*<h([1-6])[^>]*>(.*)<\/h\1>/i.exec(line);
  return html === null ? undefined : { kind: "heading", level: Number(html[1]), text: title(html[2]!) };
}

/** Joins blocks into passages, cutting only in front of prose so that an example stays with the words that introduce it. */
function pack(blocks: Block[]): string[] {
  const passages: { text: string; proseChars: number }[] = [];
  for (const { kind, text } of blocks.flatMap(halveLongProse)) {
    const last = passages.at(-1);
    const isFull = last === undefined || (kind === "prose" && last.text.length + text.length > PASSAGE_CHARS_MAX);
    const passage = isFull ? { text: "", proseChars: 0 } : last;
    if (isFull) passages.push(passage);
    passage.text += passage.text === "" ? text : `\n\n${text}`;
    if (kind === "prose") passage.proseChars += text.length;
  }
  return passages.filter(({ proseChars }) => proseChars >= PROSE_CHARS_MIN).map(({ text }) => text);
}

/** A table or list longer than a passage is one block; it is cut between its lines. */
function halveLongProse(block: Block): Block[] {
  const lines = block.text.split("\n");
  if (block.kind !== "prose" || block.text.length <= PASSAGE_CHARS_MAX || lines.length === 1) return [block];
  const half = Math.ceil(lines.length / 2);
  return [lines.slice(0, half), lines.slice(half)].flatMap((part) =>
    halveLongProse({ kind: "prose", text: part.join("\n") }),
  );
}

function shorten(code: string): string {
  const text = code.trimEnd();
  if (text.length <= CODE_CHARS_MAX) return text;
  const lineEnd = text.lastIndexOf("\n", CODE_CHARS_MAX);
  return text.slice(0, lineEnd > 0 ? lineEnd : CODE_CHARS_MAX);
}

function withoutComments(markdown: string): string {
  return markdown.replace(/<!--[\s\S]*?-->/g, "");
}

function title(markdown: string): string {
  return plain(markdown).replace(/`/g, "").replace(/:$/, "");
}

/** A row of links to other places, with hardly a word of its own. */
function isNavigation(markdown: string): boolean {
  const link = /!?\[[^\]]*\](\([^)]*\)|\[[^\]]*\])/g;
  const ownWords = plain(markdown.replace(link, "")).match(/\p{L}{2,}/gu) ?? [];
  const links = markdown.match(link) ?? [];
  return links.length > 1 && ownWords.length < links.length;
}

/** The words a reader sees. */
function plain(markdown: string): string {
  return markdown
    .replace(/^[ \t]*\[[^\]]+\]:[ \t]+\S.*$/gm, "") // link definitions
    .replace(/!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])/g, "") // images, most of them badges
    .replace(/\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])/g, "$1") // links keep their words
    .replace(/<https?:[^>]*>|https?:\/\/\S+/g, "")
    .replace(/<\/?[a-z][^>]*>/gi, "") // HTML tags
    .replace(/^[ \t:|-]*-{3,}[ \t:|-]*$/gm, "") // the ruler of a table
    .replace(/^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$/gm, "")
    .replace(/[ \t]+\|[ \t]+/g, "  ")
    .replace(/^[ \t]*>[ \t]?/gm, "")
    .replace(/&nbsp;/g, " ")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&amp;/g, "&")
    .replace(/\*\*|__(?=\S)|(?<=\S)__/g, "")
    .replace(/\\([\\`*_{}[\]()#+.!|-])/g, "$1")
    .replace(/\n\s*\n/g, "\n")
    .trim();
}
