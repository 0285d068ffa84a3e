import type { Column, GetColumnData, Placeholder, SQL } from "drizzle-orm";
import type { Element } from "../codec/codec.ts";
import type { AnyVectorColumn, VectorBytes } from "../schema/vector-column.ts";

export type ElementOf<TColumn extends AnyVectorColumn> =
  TColumn["_"]["driverParam"] extends VectorBytes<infer TElement, number> ? TElement : never;

/** What a query vector may be given as: numbers, `dimensions` of them; for `bit` also packed bytes, lowest bit first. */
export type VectorInput<TElement extends Element> =
  | readonly number[]
  | (TElement extends "bit" ? Uint8Array : TElement extends "int8" ? Int8Array : Float32Array | Float64Array);

/** A query vector, or a placeholder for one. */
export type VectorQuery<TElement extends Element> = VectorInput<TElement> | Placeholder;

/** What may be selected of a hit: columns of the searched table, SQL expressions, or objects of both. */
export type FieldOf<TTableName extends string> =
  | (Column<any> & { readonly _: { readonly tableName: TTableName } })
  | SQL<any>
  | SQL.Aliased<any>
  | { readonly [field: string]: FieldOf<TTableName> };

/** A field as it reads, by Drizzle's own mapping. */
export type Selected<TField> =
  TField extends Column<any>
    ? GetColumnData<TField>
    : TField extends SQL<infer T> | SQL.Aliased<infer T>
      ? T
      : { -readonly [K in keyof TField]: Selected<TField[K]> };

/** Every table of the schema or relations the database was made with, on either line of Drizzle. */
type TablesOf<TDb> = TDb extends { readonly _: { readonly fullSchema: infer TSchema } }
  ? TSchema[keyof TSchema]
  : TDb extends { readonly _: { readonly relations: infer TRelations } }
    ? TRelations[keyof TRelations] extends { readonly table: infer TTable }
      ? TTable
      : never
    : never;

type ColumnsNamed<TDb, TTableName extends string> =
  TablesOf<TDb> extends infer TTable
    ? TTable extends { readonly _: { readonly name: TTableName; readonly columns: infer TColumns } }
      ? TColumns
      : never
    : never;

/**
 * A hit where nothing is selected: all columns but vectors. A column's type does not know its table; with
 * `drizzle(client, { schema })` it is found there, and without it the fields are `unknown` until selected.
 */
export type DefaultRow<TDb, TTableName extends string> = [ColumnsNamed<TDb, TTableName>] extends [never]
  ? Record<string, unknown>
  : RowOf<ColumnsNamed<TDb, TTableName>>;

/** All columns of a table but vectors, as they read. */
export type RowOf<TColumns> = {
  -readonly [K in keyof TColumns as TColumns[K] extends AnyVectorColumn ? never : K]: Selected<TColumns[K]>;
};

/**
 * The primary-key columns of the searched table, where its type is known; else those among the selected fields; else any
 * name, to be asserted.
 */
export type KeyColumns<TDb, TTableName extends string, TSelect> = [ColumnsNamed<TDb, TTableName>] extends [never]
  ? TSelect extends Record<string, unknown>
    ? KeyOf<TSelect>
    : Record<string, Column<any> & { readonly _: { readonly tableName: TTableName } }>
  : KeyOf<ColumnsNamed<TDb, TTableName>>;

/** A composite key is not visible in the columns' types; then every NOT NULL column may be part of it. */
export type KeyOf<TColumns> = true extends {
  [K in keyof TColumns]: TColumns[K] extends { readonly _: { readonly isPrimaryKey: true } } ? true : false;
}[keyof TColumns]
  ? {
      [K in keyof TColumns as TColumns[K] extends { readonly _: { readonly isPrimaryKey: true } }
        ? K
        : never]: TColumns[K];
    }
  : {
      [K in keyof TColumns as TColumns[K] extends { readonly _: { readonly notNull: true } } ? K : never]: TColumns[K];
    };

/** A plain object type for the editor's tooltip. */
export type Flat<T> = { [K in keyof T]: T[K] } & {};
