import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { KitError } from "../../errors.ts";

/** The drizzle-kit a project has installed. */
export interface Kit {
  version: string;
  /** The script its `drizzle-kit` command runs. */
  bin: string;
}

/**
 * Finds drizzle-kit as the project itself would, so that the version its lock file names is the one that runs.
 *
 * @throws {KitError} when it is not installed
 */
export function findKit(root: string): Kit {
  const folder = packageFolder(root);
  const { version, bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return { version, bin: join(folder, typeof bin === "string" ? bin : bin["drizzle-kit"]) };
}

/** Walks up from the entry file, because neither line exports its package.json. */
function packageFolder(root: string): string {
  let folder = dirname(entryFile(root));
  while (!isKit(folder)) folder = dirname(folder);
  return folder;
}

function entryFile(root: string): string {
  try {
    return createRequire(join(root, "package.json")).resolve("drizzle-kit");
  } catch (cause) {
    throw new KitError({
      subject: "drizzle-kit",
      expected: "drizzle-kit 0.31 or 1.0 in the project",
      got: "none",
      hint: "npm install --save-dev drizzle-kit",
      cause,
    });
  }
}

function isKit(folder: string): boolean {
  const file = join(folder, "package.json");
  return (
    dirname(folder) === folder || (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "drizzle-kit")
  );
}
