import { attachmentNamed, attachmentsOf } from "../../src/change/attachment.ts";
import { driverOf } from "../../src/driver/driver.ts";
import { Fold, type FoldOptions, type FoldResult } from "../../src/vector/fold.ts";
import { type IndexedColumn, indexedColumnOf } from "../../src/vector/indexed-column.ts";

// Here, where programs without vitest can load it.

/** A connection by its Drizzle database. */
interface Folding {
  readonly db: any;
}

export interface SlowFoldOptions extends Partial<FoldOptions> {
  /** Default: the first. */
  readonly index?: string;
  /** Whether slices that only read hold the lock, as those of folds that begin by themselves do. Default true. */
  readonly isLocked?: boolean;
}

/** The first vector column of an index, of the first where none is named, as a fold takes it. */
export function columnOf({ db }: Folding, index?: string): IndexedColumn {
  const driver = driverOf(db);
  const attachments = driver.run((snapshot) => attachmentsOf(driver, snapshot)) as any;
  const attachment = index === undefined ? attachments[0] : attachmentNamed(attachments, index);
  return indexedColumnOf(attachment, attachment.record.definition.vectors[0])!;
}

/** A fold whose slices are as short as can be, to be driven one by one. */
export class SlowFold {
  readonly #connection: Folding;
  readonly #fold: Fold;
  readonly #isLocked: boolean;
  slices = 0;
  /** Of them, those that could write. */
  writing = 0;
  result: FoldResult | undefined;

  constructor(connection: Folding, { index, isLocked = true, ...options }: SlowFoldOptions = {}) {
    this.#connection = connection;
    this.#isLocked = isLocked;
    const column = columnOf(connection, index);
    const { connection: client } = driverOf(connection.db);
    this.#fold = new Fold(client, column, { sliceMs: 0, isWhole: false, isChecked: false, ...options });
  }

  /** Whether it goes on. */
  step(): boolean {
    const isWriting = this.#isLocked || this.#fold.isWriting;
    this.slices++;
    if (isWriting) this.writing++;
    this.result = isWriting ? this.#locked() : this.#reading();
    return this.result === undefined;
  }

  #locked(): FoldResult | undefined {
    const outcome = driverOf(this.#connection.db).tryWrite!(() => this.#fold.slice());
    if (typeof outcome === "string") throw new Error(outcome);
    return outcome.value;
  }

  /** One that writes nothing: a statement that tried to would throw. */
  #reading(): FoldResult | undefined {
    const driver = driverOf(this.#connection.db);
    driver.bare("PRAGMA query_only = ON");
    try {
      return driver.run(() => this.#fold.slice()) as FoldResult | undefined;
    } finally {
      driver.bare("PRAGMA query_only = OFF");
    }
  }

  finish(): FoldResult {
    while (this.step());
    return this.result!;
  }
}

export function fold(connection: Folding, options: SlowFoldOptions = {}): FoldResult {
  return new SlowFold(connection, options).finish();
}
