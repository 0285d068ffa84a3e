import { entityKind } from "drizzle-orm";

/** What every error of the library carries beside its message. */
export interface ErrorDetails {
  /** What the error is about: a column (`docs.embedding`), an option (`limit`), an index. */
  subject: string;
  /** What would have been right. */
  expected: string;
  /** What was found instead. */
  got: string;
  /** What to do next. */
  hint?: string;
  /** The error beneath, as the driver threw it. */
  cause?: unknown;
}

/**
 * The base of every error the library throws on purpose: `catch (error) { if (error instanceof DrizzleVectorError) … }`.
 * The message reads `subject: expected …, got …`; `code` never changes between releases and is listed in the README.
 */
export abstract class DrizzleVectorError extends Error {
  /**
   * What the class is called, by which Drizzle's `is(error, DrizzleVectorError)` tells it where two copies of the library meet. A
   * bundler that minifies changes the name that a class has by itself.
   */
  static readonly [entityKind]: string = "DrizzleVectorError";

  /** Stable, to branch on. */
  abstract readonly code: string;
  /** What the error is about: a column (`docs.embedding`), an option (`limit`), an index. */
  readonly subject: string;
  /** What would have been right. */
  readonly expected: string;
  /** What was found instead. */
  readonly got: string;
  /** What to do next, where there is something. */
  readonly hint: string | undefined;

  constructor({ subject, expected, got, hint, cause }: ErrorDetails) {
    super(`${subject}: expected ${expected}, got ${got}`, cause === undefined ? undefined : { cause });
    this.subject = subject;
    this.expected = expected;
    this.got = got;
    this.hint = hint;
  }

  override get name(): string {
    return (this.constructor as typeof DrizzleVectorError)[entityKind];
  }
}

/** A declaration in the schema cannot work: dimensions out of range, an unknown element, a name SQLite refuses. */
export class DeclarationError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "DeclarationError";
  readonly code = "INVALID_DECLARATION";
}

/** A vector has another number of dimensions than its column. */
export class DimensionMismatchError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "DimensionMismatchError";
  readonly code = "DIMENSION_MISMATCH";
}

/** A vector holds something its element type cannot: NaN, an infinity, too large a number, a fraction in int8, a string. */
export class VectorValueError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "VectorValueError";
  readonly code = "INVALID_VECTOR";
}

/** An option of a call is out of range, of the wrong type or unknown. */
export class InvalidOptionError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "InvalidOptionError";
  readonly code = "INVALID_OPTION";
}

/** The metric does not exist for the column's element: `bit` has hamming only, the others cosine, l2 and dot. */
export class MetricError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "MetricError";
  readonly code = "INVALID_METRIC";
}

/** The query has no direction (all zeros), so that its cosine distance to anything is undefined. */
export class ZeroQueryError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "ZeroQueryError";
  readonly code = "ZERO_QUERY";
}

/** The column is not a vector column of a table: another column type, a column of a view or of a subquery. */
export class UnsupportedColumnError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "UnsupportedColumnError";
  readonly code = "UNSUPPORTED_COLUMN";
}

/** The table's rows cannot be told apart: no primary key is declared. */
export class UnsupportedKeyError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "UnsupportedKeyError";
  readonly code = "UNSUPPORTED_KEY";
}

/** The database handle is not one the library can run on. */
export class UnsupportedDriverError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "UnsupportedDriverError";
  readonly code = "UNSUPPORTED_DRIVER";
}

/**
 * The connection cannot run a statement now: a search was called from inside an SQL function, the database or transaction is closed, or,
 * on libSQL, open transactions hold all connections, or others write on the one of a search without a pause.
 */
export class ConnectionBusyError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "ConnectionBusyError";
  readonly code = "CONNECTION_BUSY";
}

/** The database cannot be written, and something had to be. */
export class ReadOnlyError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "ReadOnlyError";
  readonly code = "READ_ONLY";
}

/** A transaction is open, and the work commits in steps of its own. */
export class TransactionOpenError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "TransactionOpenError";
  readonly code = "TRANSACTION_OPEN";
}

/** No vector that was met has the column's number of dimensions: most often the embedding model was changed. */
export class StoredDimensionsError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "StoredDimensionsError";
  readonly code = "STORED_DIMENSIONS";
  /** How many vectors were met, all of the wrong length. */
  readonly count: number;
  /** The primary key of the first of them; an array where the key has several parts. */
  readonly key: unknown;

  constructor(details: ErrorDetails & { count: number; key: unknown }) {
    super(details);
    this.count = details.count;
    this.key = details.key;
  }
}

/** The project's drizzle.config or its schema files cannot be found, loaded or understood. */
export class ConfigError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "ConfigError";
  readonly code = "INVALID_CONFIG";
}

/** drizzle-kit is not installed, or it failed; what it said has been printed. */
export class KitError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "KitError";
  readonly code = "KIT_FAILED";
}

/** A migration file is missing, or one of its statements does not run. */
export class MigrationError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "MigrationError";
  readonly code = "INVALID_MIGRATION";
}

/** The search index is not in the database: its migration has not run. */
export class IndexMissingError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "IndexMissingError";
  readonly code = "INDEX_MISSING";
}

/**
 * Writes may have gone by the search index unseen, because a trigger or table of it is gone or altered, or a trigger of the user can
 * keep it from running: nothing is answered from it.
 */
export class IndexDetachedError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "IndexDetachedError";
  readonly code = "INDEX_DETACHED";
}

/** The search index was created empty (`--defer-text`), or `rebuild` is filling it. */
export class IndexPendingError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "IndexPendingError";
  readonly code = "INDEX_PENDING";
}

/** What the index has of text, or of vectors under `strict`, cannot be relied on: it is damaged. The table is not; `rebuild` fills the index anew from it. */
export class IndexDamagedError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "IndexDamagedError";
  readonly code = "INDEX_DAMAGED";
}

/** The search index in the database is of a newer format than this version of the library knows. */
export class IndexFormatError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "IndexFormatError";
  readonly code = "INDEX_FORMAT";
}

/** A vector column has no codes that could be used: they do not fit into memory and are not on disk, or the index cannot be relied on. */
export class CodesMissingError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "CodesMissingError";
  readonly code = "CODES_MISSING";
}

/** There are too few vectors to measure anything on. */
export class TooFewRowsError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "TooFewRowsError";
  readonly code = "TOO_FEW_ROWS";
}

/** The declaration in the code differs from the one the database was made by. */
export class DeclarationDriftError extends DrizzleVectorError {
  static override readonly [entityKind]: string = "DeclarationDriftError";
  readonly code = "DECLARATION_DRIFT";
}
