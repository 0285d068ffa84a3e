import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createJiti } from "jiti";
import { ConfigError } from "../errors.ts";
import type { Casing } from "../migration/definition.ts";

/** What the commands need from a project's drizzle.config; every path is absolute. */
export interface Config {
  /** Where the command runs; drizzle-kit takes the paths in its config from here. */
  root: string;
  /** The config file. */
  file: string;
  dialect: "sqlite" | "turso";
  /** Globs, files and folders, as written. */
  schema: string[];
  /** The migrations folder. */
  out: string;
  casing: Casing | undefined;
  tablesFilter: string[];
  /** `dbCredentials.url`, as written. */
  url: string | undefined;
}

/** What loads TypeScript, ESM and CommonJS alike, by the paths of the project's tsconfig. */
export type Loader = (file: string) => Promise<Record<string, unknown>>;

const NAMES = ["ts", "js", "mts", "mjs", "cts", "cjs", "json"].map((extension) => `drizzle.config.${extension}`);

/**
 * Loads the project's drizzle.config, and before it the `.env` beside it, as drizzle-kit does.
 *
 * @param named - the path given with `--config`, else the first of drizzle.config.ts, .js, .mjs, .json
 * @throws {ConfigError} when there is none, it does not load, or it is not for SQLite
 */
export async function loadConfig(root: string, named?: string): Promise<Config> {
  const file = configFile(root, named);
  if (existsSync(join(root, ".env"))) process.loadEnvFile(join(root, ".env"));
  const loaded = await loader(root)(file);
  const config = (loaded.default ?? loaded) as Record<string, any>;
  if (config.dialect !== "sqlite" && config.dialect !== "turso") {
    throw wrong(file, "dialect sqlite or turso", String(config.dialect));
  }
  if (config.schema === undefined) throw wrong(file, "a schema", "none");
  return {
    root,
    file,
    dialect: config.dialect,
    schema: [config.schema].flat(),
    out: resolve(root, config.out ?? "drizzle"),
    casing: config.casing,
    tablesFilter: [config.tablesFilter ?? []].flat(),
    url: config.dbCredentials?.url,
  };
}

/** A loader for one project; what two files import is loaded once. */
export function loader(root: string): Loader {
  const jiti = createJiti(join(root, "drizzle.config"), { tsconfigPaths: true });
  return async (file) => {
    try {
      return (await jiti.import(file)) as Record<string, unknown>;
    } catch (cause) {
      throw new ConfigError({
        subject: file,
        expected: "a file that loads",
        got: (cause as Error).message,
        hint: "drizzle-kit loads the same file: what it needs, such as an environment variable, it needs here too",
        cause,
      });
    }
  };
}

function configFile(root: string, named: string | undefined): string {
  const tried = named === undefined ? NAMES : [named];
  const found = tried.map((name) => resolve(root, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new ConfigError({
    subject: named ?? "drizzle.config.ts",
    expected: "a drizzle config file",
    got: `none in ${root}`,
    hint: "run the command where drizzle.config.ts is, or name it with --config",
  });
}

function wrong(file: string, expected: string, got: string): ConfigError {
  return new ConfigError({
    subject: file,
    expected,
    got,
    hint: "see https://orm.drizzle.team/docs/drizzle-config-file",
  });
}
