import { checkTogether, definitionOf, type IndexDefinition } from "../migration/definition.ts";
import { isSearchIndex, type SearchIndex } from "../schema/search-index.ts";
import { type Config, loader } from "./config.ts";
import { schemaFiles } from "./schema-files.ts";

/**
 * What the schema files of a project declare: every `searchIndex` among their top-level exports, which is where drizzle-kit
 * looks for tables.
 *
 * @throws {ConfigError} when a file does not load
 * @throws {DeclarationError} when two declarations cannot stand side by side
 */
export async function loadDeclarations({ root, schema, casing }: Config): Promise<IndexDefinition[]> {
  const load = loader(root);
  const indexes = new Set<SearchIndex>();
  for (const file of await schemaFiles(root, schema)) {
    for (const value of Object.values(await load(file))) {
      if (isSearchIndex(value)) indexes.add(value);
    }
  }
  const definitions = [...indexes].map((index) => definitionOf(index, { casing }));
  checkTogether(definitions);
  return definitions;
}
