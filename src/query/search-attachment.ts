import { type Attachment, attachmentNamed, attachmentsOf, missingIndex, remedyOf } from "../change/attachment.ts";
import { casingOf } from "../driver/casing.ts";
import type { Driver, Row, Snapshot, Steps } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import {
  DeclarationDriftError,
  IndexDetachedError,
  IndexFormatError,
  IndexMissingError,
  IndexPendingError,
} from "../errors.ts";
import { definitionOf, FORMAT_VERSION, type IndexDefinition } from "../migration/definition.ts";
import { parseDefinition } from "../migration/installed.ts";
import { RECORD_REMEDY } from "../migration/problems.ts";
import { REGISTRY } from "../schema/names.ts";
import type { SearchIndex } from "../schema/search-index.ts";

/** Definitions by their declaration and the casing of the database: a search needs one each time. */
const definitions = new WeakMap<SearchIndex, Map<string | undefined, IndexDefinition>>();

/** What a declaration means in this database. */
export function declarationOf(index: SearchIndex, { handle }: Driver): IndexDefinition {
  const casing = casingOf(handle);
  const known = getOrMake(definitions, index, () => new Map());
  return getOrMake(known, casing, () => definitionOf(index, casing === undefined ? {} : { casing }));
}

interface CheckInput {
  readonly driver: Driver;
  readonly snapshot: Snapshot;
  /** What the code declares. */
  readonly declared: IndexDefinition;
  /** Whether its text is asked, which has to be filled and as declared. */
  readonly needsText: boolean;
}

/**
 * Looks whether an index can be asked: it is there, follows every write, and its text is filled and made by this declaration.
 *
 * @throws {IndexMissingError | IndexDetachedError | IndexFormatError | IndexPendingError | DeclarationDriftError}
 */
export function* checkSearchable({ driver, snapshot, declared, needsText }: CheckInput): Steps<void> {
  const { name } = declared;
  const attachments = yield* attachmentsOf(driver, snapshot);
  const attachment = attachmentNamed(attachments, name);
  if (!attachment) throw missingIndex(name, attachments);
  checkAttached(attachment);
  if (!needsText) return;
  // These may change without the schema: read anew each time.
  const [row]: Row[] = yield {
    type: "rows",
    sql: `select definition, pending, hash from "${REGISTRY}" where name = ?`,
    params: [name],
  };
  const text = `${row?.[0]} ${row?.[2]}`;
  if (checked.get(declared) !== text) {
    checkDeclared(recorded(name, row), declared);
    checked.set(declared, text);
  }
  if (row![1] === null) return;
  throw new IndexPendingError({
    subject: name,
    expected: "a text index that is filled",
    got: "one that is still empty or being filled",
    hint: `Run "drizzle-vector rebuild ${name}", or wait until it is done.`,
  });
}

/** What was recorded, with its hash, when a declaration was last found to agree with it. */
const checked = new WeakMap<IndexDefinition, string>();

/** The definition in an index's row of the registry, which may be gone or overwritten since the schema was looked at. */
function recorded(index: string, row: Row | undefined): IndexDefinition {
  const hint = RECORD_REMEDY;
  if (!row) throw new IndexMissingError({ subject: index, expected: "its row in the registry", got: "none", hint });
  const definition = parseDefinition(String(row[0]), String(row[2]));
  if (definition) return definition;
  throw new IndexFormatError({ subject: index, expected: "a definition that can be read", got: "a damaged one", hint });
}

function checkDeclared(recorded: IndexDefinition, declared: IndexDefinition): void {
  const textOf = ({ table, key, text }: IndexDefinition) =>
    JSON.stringify([table, key, text?.tokenizer, text?.columns.map(({ column }) => column)]);
  if (textOf(recorded) === textOf(declared)) return;
  throw new DeclarationDriftError({
    subject: declared.name,
    expected: `the text declared in the schema: ${sentence(declared)}`,
    got: `in the database: ${sentence(recorded)}`,
    hint: `Run "drizzle-vector generate" and your migrations.`,
  });
}

/** @throws {IndexFormatError | IndexDetachedError} where nothing of it can be trusted */
export function checkAttached(attachment: Attachment): void {
  const { name, record, problems } = attachment;
  if (record.format > FORMAT_VERSION) {
    throw new IndexFormatError({
      subject: name,
      expected: `a search index of format ${FORMAT_VERSION}`,
      got: `format ${record.format}`,
      hint: remedyOf(attachment),
    });
  }
  if (problems.length === 0) return;
  throw new IndexDetachedError({
    subject: name,
    expected: "a search index that follows every write",
    got: problems.map(({ message }) => message).join("; "),
    hint: remedyOf(attachment),
  });
}

function sentence({ text }: IndexDefinition): string {
  return text === null ? "no text" : `${text.columns.map(({ column }) => column).join(", ")} with ${text.tokenizer}`;
}
