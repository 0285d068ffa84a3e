import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { release, status } from "../../src/index.ts";
import { App } from "../helpers/folding.ts";
import { fold } from "../helpers/slow-fold.ts";
import { bundled } from "../reliability/program.ts";

const program = await bundled(new URL("../helpers/garbage.ts", import.meta.url));

test("lets go of what a connection holds; the next query loads it again", () => {
  const app = new App({ rows: 300 });
  const [one, two] = [app.connect(), app.connect()];
  for (const connection of [one, two]) app.expectExact(connection);
  release(one.db);
  const resident = ({ db }: typeof one) => (status(db, app.index) as any).vectors[0].resident;
  expect([resident(one), resident(two)?.rows]).toEqual([null, 300]);
  expect(app.expectExact(one)).toMatchObject({ plan: "certified scan" });
  expect(resident(one).rows).toBe(300);
});

test("is no error on a connection that holds nothing, twice, inside a transaction, or once it is closed", () => {
  const app = new App({ rows: 10 });
  release(app.first.db);
  app.expectExact(app.first);
  app.first.client.exec("BEGIN");
  release(app.first.db);
  app.expectExact(app.first);
  app.first.client.exec("COMMIT");
  const other = app.connect();
  other.client.close();
  release(other.db);
  release(other.db);
});

test.each(["close", "forget"])("without it everything goes with the connection: %s", (maintenance) => {
  const app = new App({ rows: 1500 });
  if (maintenance === "forget") fold(app.first);
  const { stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", program, app.file, maintenance], {
    encoding: "utf8",
  });
  expect([stdout, stderr]).toEqual(["true", ""]);
});
