import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { asc, eq } from "drizzle-orm";
import { npmVersion } from "drizzle-orm/version";
import { verify, ZeroQueryError } from "drizzle-vector";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPackages, readPassages } from "../../examples/docs-search/corpus.ts";
import { connect, type Db, openDatabase } from "../../examples/docs-search/database.ts";
import { cutDeclarations } from "../../examples/docs-search/declarations.ts";
import type { Embedder } from "../../examples/docs-search/embedder.ts";
import { endpointEmbedder, endpointFromEnvironment } from "../../examples/docs-search/endpoint-embedder.ts";
import { ingest } from "../../examples/docs-search/ingest.ts";
import { embedText, fitLsa } from "../../examples/docs-search/lsa.ts";
import { lsaEmbedder } from "../../examples/docs-search/lsa-embedder.ts";
import { cutMarkdown } from "../../examples/docs-search/markdown.ts";
import { formatAnswer } from "../../examples/docs-search/print.ts";
import { DIMENSIONS, model, packages, passages, passagesSearch, words } from "../../examples/docs-search/schema.ts";
import { ask } from "../../examples/docs-search/search.ts";
import { tokenize } from "../../examples/docs-search/tokenizer.ts";

const MIGRATIONS = join(import.meta.dirname, "../../migrations");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "docs-search-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The demo's tables as the committed migrations make them, on either line of Drizzle. */
function demoDatabase(): Db {
  const db = connect(":memory:");
  for (const statement of migrationStatements()) db.$client.exec(statement);
  return db;
}

function migrationStatements(): string[] {
  const files = readdirSync(MIGRATIONS)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  return files.flatMap((name) => readFileSync(join(MIGRATIONS, name), "utf8").split("--> statement-breakpoint"));
}

function writeFiles(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

function packageFiles(name: string, readme: string, version = "1.0.0"): Record<string, string> {
  return {
    [`node_modules/${name}/package.json`]: JSON.stringify({ name, version }),
    [`node_modules/${name}/README.md`]: readme,
  };
}

describe("cutting Markdown", () => {
  it("puts each section under the path of its headings", () => {
    const markdown = [
      "# Watcher",
      "Watches a folder for changes.",
      "## Usage",
      "### Options",
      "How often to look, in milliseconds.",
      "## Events",
      "One event for every file that changed.",
    ].join("\n");
    expect(cutMarkdown(markdown)).toEqual([
      { heading: "Watcher", text: "Watches a folder for changes." },
      { heading: "Watcher › Usage › Options", text: "How often to look, in milliseconds." },
      { heading: "Watcher › Events", text: "One event for every file that changed." },
    ]);
  });

  it("takes a # inside a code fence for code, also where a shorter fence stands inside a longer one", () => {
    const markdown =
      "# Shell\nRun the following command:\n\n````sh\n# not a heading\n```\n# nor this\n````\n\n# Next\nAnother section of text.";
    expect(cutMarkdown(markdown)).toEqual([
      { heading: "Shell", text: "Run the following command:\n\n# not a heading\n```\n# nor this" },
      { heading: "Next", text: "Another section of text." },
    ]);
  });

  it("knows underlined and HTML headings, and closing hashes", () => {
    const markdown =
      "Title\n=====\nText below the title.\n\nPart\n----\nText below the part.\n\n<h2 align=center>Tag</h2>\nText below the tag.\n## Closed ##\nText below the closed one.";
    expect(cutMarkdown(markdown).map(({ heading }) => heading)).toEqual([
      "Title",
      "Title › Part",
      "Title › Tag",
      "Title › Closed",
    ]);
  });

  it("leaves out what answers no question: empty sections, code alone, licence, table of contents", () => {
    const markdown = [
      "# Tool",
      "## Table of Contents",
      "- Usage, options and everything else",
      "## Example",
      "```js\nrun();\n```",
      "## Elsewhere",
      "[Guide](guide.md) | [Options](options.md) | [Events](events.md)",
      "## Empty",
      "## License",
      "MIT, which is a licence that permits nearly everything.",
      "### Third parties",
      "Also below the licence, so also left out.",
    ].join("\n");
    expect(cutMarkdown(markdown)).toEqual([]);
  });

  it("keeps the words of links and tables, and drops badges, HTML, comments and addresses", () => {
    const markdown = [
      "# Lib",
      "[![Build](https://ci.example/badge.svg)](https://ci.example)",
      "<!-- hidden",
      "# comment -->",
      "<p align=center>See the [guide](https://docs.example) for **more** &amp; better.</p>",
      "",
      "| Option | Meaning |",
      "| --- | --- |",
      "| `depth` | how deep to look |",
      "",
      "[guide]: https://docs.example",
    ].join("\n");
    expect(cutMarkdown(markdown)).toEqual([
      {
        heading: "Lib",
        text: "See the guide for more & better.\n\nOption  Meaning\n`depth`  how deep to look",
      },
    ]);
  });

  it("cuts a long section in front of a paragraph, so that an example stays with its introduction", () => {
    const paragraph = "word ".repeat(100).trim(); // 499 characters
    const passages = cutMarkdown(`# Long\n${paragraph}\n\n${paragraph}\n\n\`\`\`\n${paragraph}\n\`\`\``);
    expect(passages.map(({ text }) => text)).toEqual([paragraph, `${paragraph}\n\n${paragraph}`]);
  });

  it("cuts a table or list that is longer than a passage between its lines", () => {
    const lines = Array.from({ length: 40 }, (_, i) => `- entry ${i} of a list that goes on and on`);
    const passages = cutMarkdown(lines.join("\n"));
    expect(passages.map(({ text }) => text.length).every((length) => length <= 700)).toBe(true);
    expect(passages.map(({ text }) => text).join("\n")).toBe(lines.join("\n"));
  });
});

describe("cutting type declarations", () => {
  it("puts each documentation comment under the names it belongs to", () => {
    const source = `
declare module "fs" {
    /**
     * Watches a file or a folder and calls the {@link Listener} whenever something in it changes.
     * @since v0.5.10
     * @param path what to watch
     */
    export function watch(path: string): Watcher;
    export interface Watcher {
        /** Stops to watch; afterwards the listener is not called any more, whatever happens to the file or folder. */
        close(): void;
    }
}`;
    expect(cutDeclarations(source)).toEqual([
      {
        heading: "fs › watch",
        text: "Watches a file or a folder and calls the Listener whenever something in it changes.\n\npath what to watch",
      },
      {
        heading: "fs › Watcher › close",
        text: "Stops to watch; afterwards the listener is not called any more, whatever happens to the file or folder.",
      },
    ]);
  });

  it("leaves out short, internal and deprecated comments, and repeats of overloads", () => {
    const long = "Says at length what the function below it does, and when to prefer it over the others.";
    const source = `
/** Short. */
export declare function a(): void;
/** ${long} @internal */
export declare function b(): void;
/** ${long} @deprecated */
export declare function c(): void;
/** ${long} */
export declare function d(): void;
/** ${long} */
export declare function d(x: number): void;`;
    expect(cutDeclarations(source)).toEqual([{ heading: "d", text: long }]);
  });
});

describe("finding packages", () => {
  it("finds Markdown and declarations, scopes included, and skips paperwork, translations, twins and other files", () => {
    writeFiles({
      ...packageFiles("tool", "# Tool"),
      "node_modules/tool/CHANGELOG.md": "",
      "node_modules/tool/LICENSE.md": "",
      "node_modules/tool/README.zh-CN.md": "",
      "node_modules/tool/docs/guide.md": "",
      "node_modules/tool/index.js": "",
      "node_modules/tool/index.d.ts": "",
      "node_modules/tool/index.d.cts": "",
      "node_modules/tool/cjs/index.d.ts": "",
      ...packageFiles("@scope/lib", "# Lib", "2.1.0"),
      "node_modules/empty/package.json": '{"name":"empty","version":"1.0.0"}',
    });
    expect(findPackages(folder).map(({ name, version, files }) => ({ name, version, files }))).toEqual([
      { name: "@scope/lib", version: "2.1.0", files: ["node_modules/@scope/lib/README.md"] },
      {
        name: "tool",
        version: "1.0.0",
        files: ["node_modules/tool/README.md", "node_modules/tool/docs/guide.md", "node_modules/tool/index.d.ts"],
      },
    ]);
  });

  it("takes a package that is installed twice from its highest folder", () => {
    writeFiles({
      ...packageFiles("a", "# A"),
      ...packageFiles("a/node_modules/z", "# Old Z", "1.0.0"),
      ...packageFiles("z", "# New Z", "2.0.0"),
      "node_modules/a/node_modules/z/package.json": '{"name":"z","version":"1.0.0"}',
    });
    expect(findPackages(folder).map(({ name, version }) => `${name} ${version}`)).toEqual(["a 1.0.0", "z 2.0.0"]);
  });

  it("counts a text once that several files of a package repeat", () => {
    writeFiles({
      ...packageFiles("tool", "# Tool\nDoes one thing and does it well."),
      "node_modules/tool/docs/index.md": "# Docs\nDoes one thing and does it well.",
    });
    const [docs] = findPackages(folder);
    expect(readPassages(folder, docs!)).toEqual([
      { file: "node_modules/tool/README.md", heading: "Tool", text: "Does one thing and does it well." },
    ]);
  });
});

describe("the words of a text", () => {
  it.each([
    ["How do I define a foreign key?", ["defin", "foreign", "key"]],
    ["foreignKey FOREIGN_KEYS foreign-keys", ["foreign", "key", "foreign", "key", "foreign", "key"]],
    ["parseSQLTable2Json", ["pars", "sql", "table2", "json"]],
    ["watches watched watching watch", ["watch", "watch", "watch", "watch"]],
    [
      "queries query; classes class; stopped stopping stops",
      ["query", "query", "class", "class", "stop", "stop", "stop"],
    ],
    ["Café crème, status, bus, 42 x", ["cafe", "crem", "status", "bus"]],
    ["", []],
  ])("%s", (text, expected) => {
    expect(tokenize(text)).toEqual(expected);
  });
});

describe("latent semantic analysis", () => {
  const near = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

  it("gives words that occur together the same direction, scaled by their rarity, and others an orthogonal one", () => {
    // Two topics that share no word: the matrix has two blocks of rank 1, and so two singular vectors, one for each.
    const vectors = fitLsa(["red apple", "red apple", "blue car", "blue car", "blue car"], { dimensions: 4 });
    const [red, apple, blue, car] = ["red", "appl", "blue", "car"].map((word) => vectors.get(word)!);
    const rare = Math.log(1 + 5 / 2);
    const frequent = Math.log(1 + 5 / 3);
    expect(near(red!, apple!)).toBeCloseTo(rare * rare, 5);
    expect(near(blue!, car!)).toBeCloseTo(frequent * frequent, 5);
    expect(near(red!, blue!)).toBeCloseTo(0, 5);
    // The stronger topic comes first; beyond the rank there is nothing.
    expect([...blue!].map((value) => Math.abs(Math.round(value * 1e4) / 1e4))).toEqual([
      Math.round(frequent * 1e4) / 1e4,
      0,
      0,
      0,
    ]);
    expect([...red!].map((value) => Math.abs(Math.round(value * 1e4) / 1e4))).toEqual([
      0,
      Math.round(rare * 1e4) / 1e4,
      0,
      0,
    ]);
  });

  it("finds a text that shares no word with the question but its topic", () => {
    const texts = ["delete rows", "delete remove rows", "remove entry", "paint colour", "paint wall colour", "wall"];
    const vectors = fitLsa(texts, { dimensions: 2, passagesMin: 1 });
    const question = embedText("delete", vectors, 2);
    const [, , entry, paint] = texts.map((text) => embedText(text, vectors, 2));
    expect(near(question, entry!)).toBeGreaterThan(0.9);
    expect(Math.abs(near(question, paint!))).toBeLessThan(0.1);
  });

  it("is the same every time", () => {
    const texts = Array.from({ length: 30 }, (_, i) => `word${i % 7} word${i % 5} word${i % 3}`);
    expect(fitLsa(texts, { dimensions: 4 })).toEqual(fitLsa(texts, { dimensions: 4 }));
  });

  it("embeds to unit length, whatever the length of the text, and to zero where no word is known", () => {
    const vectors = fitLsa(["red apple", "red apple", "blue car", "blue car"], { dimensions: 2 });
    expect(Math.hypot(...embedText("red red red blue", vectors, 2))).toBeCloseTo(1, 6);
    expect(near(embedText("apple", vectors, 2), embedText("apple apple apple", vectors, 2))).toBeCloseTo(1, 6);
    expect([...embedText("unheard of", vectors, 2)]).toEqual([0, 0]);
  });

  it("learns only from words of several passages, and of those the most frequent", () => {
    const texts = ["common pair", "common pair", "common single"];
    expect([...fitLsa(texts, { dimensions: 2 }).keys()]).toEqual(["common", "pair"]);
    expect([...fitLsa(texts, { dimensions: 2, wordsMax: 1 }).keys()]).toEqual(["common"]);
  });

  it("survives an empty corpus", () => {
    expect(fitLsa([], { dimensions: 2 }).size).toBe(0);
    expect(fitLsa(["the", "of"], { dimensions: 2 }).size).toBe(0);
  });
});

const WATCHER =
  "# Watcher\nWatch files and folders for changes.\n## Events\nAn event for each of the files that changes.";
const COLORS =
  "# Colors\nPaint text in the terminal with colors.\n## Styles\nBold and dim text in the terminal, with colors.";
const TABLES = "# Tables\nDraw tables with borders of columns and rows.\n## Rows\nColumns and rows of tables can span.";

describe("ingest", () => {
  let db: Db;
  let embedder: Embedder & { embedded: string[] };
  const run = (options = {}) => ingest(db, embedder, { root: folder, ...options });
  const stored = () =>
    db
      .select({ package: passages.package, version: passages.version, heading: passages.heading })
      .from(passages)
      .orderBy(asc(passages.id))
      .all();

  beforeEach(() => {
    db = demoDatabase();
    const lsa = lsaEmbedder(db);
    const embedded: string[] = [];
    embedder = {
      ...lsa,
      embedded,
      embedPassages(texts) {
        embedded.push(...texts.map(({ heading }) => heading));
        return lsa.embedPassages(texts);
      },
    };
    writeFiles({
      ...packageFiles("watcher", WATCHER),
      ...packageFiles("colors", COLORS),
      ...packageFiles("tables", TABLES),
    });
  });
  afterEach(() => db.$client.close());

  it("stores every passage with package, version, file and headings", async () => {
    expect(await run()).toEqual({ isRebuilt: true, changedPackages: 3, addedPassages: 6, removedPassages: 0 });
    expect(
      db
        .select()
        .from(packages)
        .all()
        .map(({ name }) => name),
    ).toEqual(["colors", "tables", "watcher"]);
    expect(db.select().from(model).all()).toEqual([
      { id: 1, name: "latent semantic analysis (version 1), corpus 1", fittedPassages: 6, changedPassages: 0 },
    ]);
    const { embedding, ...row } = db.select().from(passages).orderBy(asc(passages.id)).get()!;
    expect(row).toEqual({
      id: 1,
      package: "colors",
      version: "1.0.0",
      file: "node_modules/colors/README.md",
      heading: "Colors",
      text: "Paint text in the terminal with colors.",
    });
    expect(embedding.length).toBe(DIMENSIONS);
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 6);
  });

  it("stores for a fitted passage the vector it has when it is embedded again", async () => {
    await run();
    const { package: name, heading, text, embedding } = db.select().from(passages).get()!;
    const [again] = await lsaEmbedder(db).embedPassages([{ package: name, file: "README", heading, text }]);
    expect([...again!]).toEqual([...embedding]);
  });

  it("does nothing when nothing changed, not even where files only look different", async () => {
    await run();
    embedder.embedded.length = 0;
    expect(await run()).toEqual({ isRebuilt: false, changedPackages: 0, addedPassages: 0, removedPassages: 0 });

    utimesSync(join(folder, "node_modules/colors/README.md"), new Date(0), new Date(0));
    expect(await run()).toEqual({ isRebuilt: false, changedPackages: 1, addedPassages: 0, removedPassages: 0 });
    expect((await run()).changedPackages).toBe(0);
    expect(embedder.embedded).toEqual([]);
  });

  it("embeds only the passages of a changed package that are new", async () => {
    // Ten more, so that one change is a small share.
    const sections = Array.from(
      { length: 10 },
      (_, i) => `## Part ${i}\nColumns, rows and colors of part number ${i}.`,
    );
    writeFiles(packageFiles("parts", sections.join("\n")));
    await run();
    embedder.embedded.length = 0;

    const changed = WATCHER.replace("An event for each", "One event for all");
    writeFiles(packageFiles("watcher", changed, "1.1.0"));
    expect(await run()).toEqual({ isRebuilt: false, changedPackages: 1, addedPassages: 1, removedPassages: 1 });
    expect(embedder.embedded).toEqual(["Watcher › Events"]);
    expect(stored().filter((row) => row.package === "watcher")).toEqual([
      { package: "watcher", version: "1.1.0", heading: "Watcher" },
      { package: "watcher", version: "1.1.0", heading: "Watcher › Events" },
    ]);
    expect(db.select().from(model).get()).toMatchObject({ fittedPassages: 16, changedPassages: 2 });
  });

  it("deletes the passages of packages and files that are gone", async () => {
    const sections = Array.from(
      { length: 20 },
      (_, i) => `## Part ${i}\nColumns, rows and colors of part number ${i}.`,
    );
    writeFiles({
      ...packageFiles("parts", sections.join("\n")),
      "node_modules/tables/MORE.md": "Columns and rows, once more.",
    });
    await run();
    rmSync(join(folder, "node_modules/watcher"), { recursive: true });
    rmSync(join(folder, "node_modules/tables/MORE.md"));
    expect(await run()).toEqual({ isRebuilt: false, changedPackages: 2, addedPassages: 0, removedPassages: 3 });
    expect(new Set(stored().map((row) => row.package))).toEqual(new Set(["colors", "parts", "tables"]));
    expect(
      db
        .select()
        .from(packages)
        .all()
        .map(({ name }) => name),
    ).toEqual(["colors", "parts", "tables"]);
    expect((await run()).changedPackages).toBe(0);
  });

  it("fits the model again once a fifth of its passages came or went", async () => {
    await run();
    writeFiles(packageFiles("boats", "# Boats\nBoats sail rivers.\n## Rivers\nRivers carry boats."));
    expect(await run()).toMatchObject({ isRebuilt: true, addedPassages: 8 });
    expect(
      db
        .select()
        .from(words)
        .all()
        .map(({ word }) => word),
    ).toContain("boat");
    expect(db.select().from(model).get()).toMatchObject({ fittedPassages: 8, changedPassages: 0 });
  });

  it("embeds everything again for another model, and on request", async () => {
    await run();
    expect(await run({ rebuild: true })).toMatchObject({ isRebuilt: true, addedPassages: 6 });
    const constant: Embedder = {
      name: "constant",
      embedPassages: async (texts) => texts.map(() => new Float32Array(DIMENSIONS).fill(1 / 16)),
      embedQuestion: async () => new Float32Array(DIMENSIONS).fill(1 / 16),
    };
    expect(await ingest(db, constant, { root: folder })).toMatchObject({ isRebuilt: true, addedPassages: 6 });
    expect(db.select().from(passages).get()!.embedding[0]).toBe(1 / 16);
    expect(await ingest(db, constant, { root: folder })).toMatchObject({ isRebuilt: false, changedPackages: 0 });
  });

  it("keeps what it has when another model does not answer", async () => {
    await run();
    const silent = endpointEmbedder({ url: "http://127.0.0.1:1", model: "small", retryMs: 1 });
    await expect(ingest(db, silent, { root: folder })).rejects.toThrow("cannot be reached");
    expect(stored().length).toBe(6);
    expect(await run()).toMatchObject({ isRebuilt: false, changedPackages: 0 });
  });

  it("goes on where it stopped", async () => {
    let calls = 0;
    const failing: Embedder = {
      name: "failing once",
      embedQuestion: async () => new Float32Array(DIMENSIONS),
      async embedPassages(texts) {
        if (++calls === 2) throw new Error("out of credit");
        return texts.map(() => new Float32Array(DIMENSIONS));
      },
    };
    await expect(ingest(db, failing, { root: folder })).rejects.toThrow("out of credit");
    expect(new Set(stored().map((row) => row.package))).toEqual(new Set(["colors"]));
    expect(await ingest(db, failing, { root: folder })).toMatchObject({
      isRebuilt: false,
      changedPackages: 2,
      addedPassages: 4,
    });
  });

  it("reports each stage from its start to its end", async () => {
    const stages: string[] = [];
    await run({ onProgress: (stage: string, done: number, total: number) => stages.push(`${stage} ${done}/${total}`) });
    expect(stages.slice(0, 3)).toEqual([1, 2, 3].map((i) => `Reading the documentation ${i}/3`));
    expect(stages).toContain("Learning the words 100/100");
    expect(stages.at(-1)).toBe("Embedding passages 6/6");
  });

  it("answers questions, in one package where asked to, and prints them", async () => {
    await run();
    const answer = await ask(db, embedder, "How do I see changes of files?", { limit: 2 });
    expect(answer.hits.map(({ package: name, heading }) => `${name}: ${heading}`)).toEqual([
      "watcher: Watcher",
      "watcher: Watcher › Events",
    ]);
    const table = stripVTControlCharacters(formatAnswer("How do I see changes of files?", answer, 80));
    expect(table).toContain("Watch files and folders for changes.");
    expect(table).toContain("watcher 1.0.0");
    expect(table).toMatch(/ms in all \(embedding the question/);
    expect(answer.wordHits[0]).toMatchObject({ package: "watcher", heading: "Watcher", $score: expect.any(Number) });
    expect(answer.bothHits[0]).toMatchObject({
      package: "watcher",
      heading: "Watcher",
      $text: { rank: 1, score: expect.any(Number) },
      $vector: { rank: 1, distance: expect.any(Number) },
    });
    expect(table).toMatch(/words #1 \d/);
    expect(table).toMatch(/meaning #1 0\.\d/);

    const other = await ask(db, embedder, "How do I see changes of files?", { limit: 9, package: "tables" });
    expect(other.hits.map((hit) => hit.package)).toEqual(["tables", "tables"]);
    await expect(ask(db, embedder, "xyzzy", { limit: 1 })).rejects.toThrow(ZeroQueryError);
  });
});

describe("an OpenAI-compatible endpoint", () => {
  interface Received {
    path: string | undefined;
    authorization: string | undefined;
    body: { model: string; input: string[]; dimensions: number };
  }
  type Reply = (request: Received, response: ServerResponse) => void;

  const received: Received[] = [];
  let replies: Reply[] = [];
  let url: string;
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { url: path, headers } = request;
    const seen = { path, authorization: headers.authorization, body: JSON.parse(body) };
    received.push(seen);
    (replies.length > 1 ? replies.shift()! : replies[0]!)(seen, response);
  });

  /** Vectors of the length asked for, all of their weight on the dimension of the input's number; last input first. */
  const embeddings =
    (dimensions: number): Reply =>
    ({ body }, response) => {
      const data = body.input.map((_, index) => ({
        index,
        embedding: Array.from({ length: dimensions }, (_, d) => (d === index ? 3 : d >= DIMENSIONS ? 5 : 0)),
      }));
      response.end(JSON.stringify({ data: data.reverse() }));
    };
  const failure =
    (status: number, text: string, headers = {}): Reply =>
    (_, response) =>
      response.writeHead(status, headers).end(text);

  beforeEach(async () => {
    received.length = 0;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const passage = (text: string) => ({ package: "tool", file: "docs/guide", heading: "Usage", text });
  const embedder = (more = {}) => endpointEmbedder({ url, model: "small", key: "secret", retryMs: 1, ...more });

  it("sends a batch in one request and gives unit vectors in the order of the texts", async () => {
    replies = [embeddings(DIMENSIONS)];
    const vectors = await embedder().embedPassages([passage("one"), passage("two")]);
    expect(received).toEqual([
      {
        path: "/v1/embeddings",
        authorization: "Bearer secret",
        body: {
          model: "small",
          input: ["tool/docs/guide: Usage\n\none", "tool/docs/guide: Usage\n\ntwo"],
          dimensions: DIMENSIONS,
          encoding_format: "float",
        },
      },
    ]);
    expect(vectors.map((vector) => [...vector.slice(0, 3)])).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
  });

  it("takes the address of /embeddings as well, and needs no key", async () => {
    replies = [embeddings(DIMENSIONS)];
    await embedder({ url: `${url}/embeddings/`, key: undefined }).embedQuestion("what?");
    expect(received[0]).toMatchObject({ path: "/v1/embeddings", authorization: undefined, body: { input: ["what?"] } });
  });

  it("shortens longer vectors and refuses shorter ones", async () => {
    replies = [embeddings(1024)];
    const vector = await embedder().embedQuestion("what?");
    expect([vector.length, vector[0], Math.hypot(...vector)]).toEqual([DIMENSIONS, 1, 1]);
    replies = [embeddings(128)];
    await expect(embedder().embedQuestion("what?")).rejects.toThrow(
      `${url}/embeddings: expected at least 256 dimensions, got 128 from small. Choose a model with longer vectors.`,
    );
  });

  it("tries again when the server is busy, as late as it asks for", async () => {
    replies = [failure(429, "slow down", { "retry-after": "0" }), failure(503, "starting"), embeddings(DIMENSIONS)];
    expect((await embedder().embedQuestion("what?"))[0]).toBe(1);
    expect(received.length).toBe(3);
  });

  it("gives up after four times, and at once where trying again cannot help", async () => {
    replies = [failure(500, "broken")];
    await expect(embedder().embedQuestion("what?")).rejects.toThrow(
      "500 Internal Server Error: broken. (tried 4 times)",
    );
    expect(received.length).toBe(4);
    replies = [failure(401, "no such key")];
    await expect(embedder().embedQuestion("what?")).rejects.toThrow(
      `${url}/embeddings answered 401 Unauthorized: no such key. Check DEMO_EMBEDDINGS_KEY.`,
    );
    expect(received.length).toBe(5);
  });

  it("says what is wrong with an answer that is none", async () => {
    replies = [failure(200, "<html>")];
    await expect(embedder().embedQuestion("what?")).rejects.toThrow("expected JSON, got <html>");
    replies = [failure(200, '{"error":"model not found"}')];
    await expect(embedder().embedQuestion("what?")).rejects.toThrow(
      'expected 1 embeddings in "data", got {"error":"model not found"}',
    );
    const closed = endpointEmbedder({ url: "http://127.0.0.1:1", model: "small", retryMs: 1 });
    await expect(closed.embedQuestion("what?")).rejects.toThrow(/cannot be reached: .*Check DEMO_EMBEDDINGS_URL/);
  });

  it("is chosen by the environment, which must be complete", () => {
    expect(endpointFromEnvironment({})).toBeUndefined();
    expect(endpointFromEnvironment({ DEMO_EMBEDDINGS_URL: "http://localhost/v1", DEMO_EMBEDDINGS_MODEL: "m" })).toEqual(
      {
        url: "http://localhost/v1",
        model: "m",
        key: undefined,
      },
    );
    expect(() => endpointFromEnvironment({ DEMO_EMBEDDINGS_URL: "http://localhost/v1" })).toThrow(
      "DEMO_EMBEDDINGS_MODEL is not set",
    );
    expect(() => endpointFromEnvironment({ DEMO_EMBEDDINGS_KEY: "k" })).toThrow("DEMO_EMBEDDINGS_URL is not set");
    expect(() => endpointFromEnvironment({ DEMO_EMBEDDINGS_URL: "localhost", DEMO_EMBEDDINGS_MODEL: "m" })).toThrow(
      "expected an address like http://localhost:11434/v1, got localhost",
    );
  });
});

describe("the committed migrations", () => {
  it("make tables that hold what the schema declares", () => {
    const db = demoDatabase();
    const embedding = Float32Array.from({ length: DIMENSIONS }, (_, i) => i);
    const passage = {
      id: 7,
      package: "tool",
      version: "1.0.0",
      file: "README.md",
      heading: "",
      text: "Text.",
      embedding,
    };
    db.insert(packages).values({ name: "tool", version: "1.0.0", fingerprint: "f" }).run();
    db.insert(passages).values(passage).run();
    db.insert(model).values({ id: 1, name: "m", fittedPassages: 1, changedPassages: 0 }).run();
    db.insert(words).values({ word: "w", vector: embedding }).run();
    expect(db.select().from(passages).all()).toEqual([passage]);
    expect(db.select().from(model).all()).toEqual([{ id: 1, name: "m", fittedPassages: 1, changedPassages: 0 }]);
    expect(db.select().from(words).all()).toEqual([{ word: "w", vector: embedding }]);
    db.delete(packages).run();
    expect(db.select().from(passages).all()).toEqual([]);
  });

  it("make the search index, which follows every passage: verify has nothing to say", async () => {
    const db = demoDatabase();
    db.insert(packages).values({ name: "tool", version: "1.0.0", fingerprint: "f" }).run();
    const passage = { package: "tool", version: "1.0.0", file: "README.md", heading: "Usage", text: "Text." };
    const vector = new Float32Array(DIMENSIONS);
    db.insert(passages)
      .values([
        { ...passage, embedding: vector },
        { ...passage, embedding: vector },
      ])
      .run();
    db.delete(passages).where(eq(passages.id, 1)).run();
    expect(await verify(db, passagesSearch)).toMatchObject({ ok: true, rows: 1, indexed: 1 });
  });

  it("are applied once by the migrator of drizzle-orm 0.x, however often the app starts; the one of 1.0 refuses them", () => {
    const file = join(folder, "docs.db");
    const tables = () => {
      const db = openDatabase(file);
      const rows = db.$client
        .prepare(
          "select name from sqlite_master where type = 'table' and name not like '\\_dv\\_%' escape '\\' order by name",
        )
        .pluck()
        .all();
      db.$client.close();
      return rows;
    };
    if (npmVersion.startsWith("0.")) {
      expect(tables()).toEqual(["__drizzle_migrations", "model", "packages", "passages", "words"]);
      expect(tables()).toEqual(["__drizzle_migrations", "model", "packages", "passages", "words"]);
    } else {
      expect(tables).toThrow("You must upgrade drizzle-kit");
    }
  });
});
