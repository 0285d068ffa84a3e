import type { Command } from "./command.ts";

/** What happens to the file as a whole. */
export const files = {
  vacuum: (s) => s.a < 4 && !s.connection.client.inTransaction && s.exec("VACUUM"),
  checkpoint: (s) => void s.connection.client.pragma(`wal_checkpoint(${["PASSIVE", "TRUNCATE"][s.a % 2]})`),
  /** A connection is closed and opened again: a cold cache between warm ones. */
  reopen: ({ a, world }) => {
    if (a > 3 || !world.isFree) return;
    world.close();
    world.open();
  },
  backup: (s) => s.world.isFree && s.world.backUp(s.connection),
  restore: (s) => {
    const { world } = s;
    if (!world.isFree || !world.hasBackup) return;
    // Beneath open connections only where SQLite itself would notice; and not after a trigger was away: what went by unseen is
    // told by the number of the schema alone, which a restore gives out again.
    if (world.wasUnlogged) return world.restoreClosed();
    if (world.journal === "delete" && s.a % 2) return world.restoreBeneath();
    return s.a % 3 ? world.restoreByApi() : world.restoreClosed();
  },
  /** The file itself under a second name, written through that name; or another file with a table of the same name. */
  attach: (s) => {
    const { client } = s.connection;
    if (client.inTransaction) return;
    const isSame = s.a % 2 === 0;
    client.prepare("ATTACH ? AS aux").run(isSame ? s.world.file : s.world.otherFile);
    try {
      s.ask();
      s.exec(`UPDATE aux.t SET txt = 'red by another name' WHERE u = ${s.b}`);
      s.ask();
    } finally {
      if (client.inTransaction) client.exec("ROLLBACK");
      client.exec("DETACH aux");
    }
  },
} satisfies Record<string, Command>;
