// npx tsx test/upgrade/make-fixture.ts: writes the fixture of the format that this version of the library writes. A format that has
// been released is never made again.
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { FORMAT_VERSION } from "../../src/migration/definition.ts";
import { writeFixture } from "./write-fixture.ts";

const file = fileURLToPath(new URL(`format-${FORMAT_VERSION}.db`, import.meta.url));
rmSync(file, { force: true });
const client = new Database(file);
await writeFixture(client);
client.close();
