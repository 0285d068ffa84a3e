import { Column, getTableName, is } from "drizzle-orm";
import { customType, type SQLiteCustomColumnBuilder } from "drizzle-orm/sqlite-core";
import {
  codecOf,
  decodeVector,
  describe,
  ELEMENTS,
  type Element,
  type ElementArray,
  encodeVector,
  type VectorShape,
} from "../codec/codec.ts";
import { DeclarationError } from "../errors.ts";
import type { Metric } from "../metric/metric.ts";

const DIMENSIONS_MAX = 16_384;

/** What a column reads as: `typed` arrays, or plain `array`s of numbers (JSON-safe, slower). */
export type VectorMode = "typed" | "array";

export interface VectorConfig {
  /** How many numbers a vector has, 1..16,384; a multiple of 8 for `bit`. */
  dimensions: number;
  /** How a number is stored, default `float32`. */
  element?: Element;
  /** What a vector reads as, default `typed`. */
  mode?: VectorMode;
}

declare const vector: unique symbol;

type Bytes = ElementArray["bit"];

/** The bytes of a stored vector. The type alone also carries element and dimensions, which is how queries are checked. */
export interface VectorBytes<TElement extends Element = Element, TDimensions extends number = number> extends Bytes {
  readonly [vector]: { readonly element: TElement; readonly dimensions: TDimensions };
}

/** What a vector column of this element and mode reads as. */
export type VectorData<TElement extends Element, TMode extends VectorMode> = TMode extends "array"
  ? number[]
  : ElementArray[TElement];

/** The builder `vectorColumn` returns; take it as any Drizzle column builder. */
export type VectorColumnBuilder<
  TName extends string,
  TElement extends Element,
  TDimensions extends number,
  TMode extends VectorMode,
> = SQLiteCustomColumnBuilder<{
  name: TName;
  dataType: "custom";
  columnType: "SQLiteCustomColumn";
  data: VectorData<TElement, TMode>;
  driverParam: VectorBytes<TElement, TDimensions>;
  enumValues: undefined;
}>;

/** Any column made by `vectorColumn`, as declared or under an alias. */
export type AnyVectorColumn = Column<any> & {
  readonly _: { readonly driverParam: VectorBytes<Element, number>; readonly tableName: string };
};

interface FieldConfig extends VectorShape {
  /** Marks the column as ours, also between the ESM and the CommonJS copy of the library. */
  readonly drizzleVector: true;
  readonly mode: VectorMode;
  /** What the column's search index measures by, once one is declared. */
  metric?: Metric;
  /** The name of that index, so that `nearest` can tell that the database has none. */
  index?: string;
}

/**
 * A column that holds one vector a row, in any SQLite table. In the database it is a lowercase `blob` of little-endian
 * elements and nothing else: 4 bytes a dimension for `float32`, 2 for `float16`, 1 for `int8`, 1/8 for `bit`.
 *
 * Everything a built-in column can do, it can do: `notNull()`, `$type`, `$defaultFn`, `returning()`, placeholders, `eq`.
 * Values are checked after conversion, before anything is written.
 *
 * @param dimensions - 1..16,384; a multiple of 8 for `bit`
 * @returns a Drizzle column builder; reads `Float32Array` (`float32`, `float16`), `Int8Array`, `Uint8Array` (`bit`, packed,
 * lowest bit first), or `number[]` in mode `array`; takes arrays and typed arrays in either mode. NULL stays NULL.
 * @throws {DeclarationError} at declaration, for dimensions, element or mode out of range
 * @throws {DimensionMismatchError | VectorValueError} when a query runs with a value that does not fit
 * @example embedding: vectorColumn(384)
 * @example embedding: vectorColumn("embedding", { dimensions: 1024, element: "bit" })
 */
export function vectorColumn<TDimensions extends number>(
  dimensions: TDimensions,
): VectorColumnBuilder<"", "float32", TDimensions, "typed">;
export function vectorColumn<TName extends string, TDimensions extends number>(
  name: TName,
  dimensions: TDimensions,
): VectorColumnBuilder<TName, "float32", TDimensions, "typed">;
export function vectorColumn<
  TName extends string,
  TDimensions extends number,
  TElement extends Element = "float32",
  TMode extends VectorMode = "typed",
>(
  name: TName,
  config: { dimensions: TDimensions; element?: TElement; mode?: TMode },
): VectorColumnBuilder<TName, TElement, TDimensions, TMode>;
export function vectorColumn<
  TDimensions extends number,
  TElement extends Element = "float32",
  TMode extends VectorMode = "typed",
>(config: {
  dimensions: TDimensions;
  element?: TElement;
  mode?: TMode;
}): VectorColumnBuilder<"", TElement, TDimensions, TMode>;
export function vectorColumn(first: string | number | VectorConfig, second?: number | VectorConfig): any {
  const name = typeof first === "string" ? first : "";
  const given = typeof first === "string" ? second : first;
  const config = checked(name, typeof given === "object" && given !== null ? given : { dimensions: given as number });
  return custom(name, config);
}

/** Dimensions, element and mode of a vector column, or undefined for anything else. */
export function configOf(column: unknown): FieldConfig | undefined {
  // Its builder has the same config, and no name and no table.
  if (!is(column, Column)) return undefined;
  const config = (column as unknown as { config?: { fieldConfig?: FieldConfig } }).config?.fieldConfig;
  return config?.drizzleVector === true ? config : undefined;
}

/** `table.column` as errors name it; `column` for what is no column. */
export function columnLabel(column: unknown): string {
  if (!is(column, Column)) return "column";
  return `${getTableName(column.table)}.${column.name}`;
}

/** What stands where a vector column was expected, in few words. */
export function describeColumn(column: unknown): string {
  return is(column, Column) ? `a column of type ${column.columnType}` : describe(column);
}

function checked(name: string, config: VectorConfig): FieldConfig {
  const { dimensions, element = "float32", mode = "typed", ...unknown } = config;
  const subject = `vectorColumn(${name === "" ? "" : JSON.stringify(name)})`;
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > DIMENSIONS_MAX) {
    throw new DeclarationError({ subject, expected: `dimensions 1..${DIMENSIONS_MAX}`, got: describe(dimensions) });
  }
  if (!ELEMENTS.includes(element)) {
    throw new DeclarationError({ subject, expected: `an element of ${ELEMENTS.join(", ")}`, got: describe(element) });
  }
  if (mode !== "typed" && mode !== "array") {
    throw new DeclarationError({ subject, expected: "mode typed or array", got: describe(mode) });
  }
  if (element === "bit" && dimensions % 8 !== 0) {
    throw new DeclarationError({ subject, expected: "dimensions a multiple of 8 for bit", got: String(dimensions) });
  }
  const [misspelt] = Object.keys(unknown);
  if (misspelt !== undefined) {
    throw new DeclarationError({
      subject,
      expected: "an option of vectorColumn: dimensions, element, mode",
      got: misspelt,
    });
  }
  return { drizzleVector: true, dimensions, element, mode };
}

function custom(name: string, config: FieldConfig): VectorColumnBuilder<string, Element, number, VectorMode> {
  /** Drizzle calls the hooks as methods of the column; where it does not, the declared name has to do. */
  const label = (self: unknown) =>
    self !== null && typeof self === "object" && "name" in self ? columnLabel(self) : name || "vector";
  const read = (value: unknown, self: unknown) => {
    const decoded = decodeVector(value, config, label(self));
    return config.mode === "array" ? codecOf(config.element).toNumbers(decoded) : decoded;
  };
  const hooks = {
    // Lower case: drizzle-kit 0.31 reads any other spelling back as a change and recreates the table at every push.
    dataType: () => "blob",
    toDriver(this: unknown, value: unknown) {
      const bytes = encodeVector(value, config, label(this));
      return typeof Buffer === "undefined" ? bytes : Buffer.from(bytes.buffer);
    },
    fromDriver(this: unknown, value: unknown) {
      return read(value, this);
    },
    // The rest is for nested relational queries on drizzle-orm 1.0, where a blob travels as hex; 0.x ignores it.
    codec: "blob",
    forJsonSelect: (identifier: unknown, sql: (strings: TemplateStringsArray, ...values: unknown[]) => unknown) =>
      // hex(NULL) would be the empty text, which is no vector.
      sql`case when ${identifier} is not null then hex(${identifier}) end`,
    fromJson(this: unknown, value: unknown) {
      return read(value, this);
    },
  };
  const build = customType(hooks as unknown as Parameters<typeof customType>[0]);
  return build(name, { ...config }) as unknown as VectorColumnBuilder<string, Element, number, VectorMode>;
}
