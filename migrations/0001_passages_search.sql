CREATE TABLE IF NOT EXISTS "_dv_indexes" (name TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, tbl TEXT NOT NULL, definition TEXT NOT NULL, hash TEXT NOT NULL, managed TEXT NOT NULL, format INTEGER NOT NULL, pending TEXT, settings TEXT);
--> statement-breakpoint
CREATE TABLE "_dv_passages_search_log" (seq INTEGER PRIMARY KEY, id INTEGER, nonce INTEGER NOT NULL DEFAULT (random()));
--> statement-breakpoint
CREATE TABLE "_dv_passages_search_head" ("column" TEXT PRIMARY KEY NOT NULL, generation INTEGER NOT NULL, seq INTEGER, nonce INTEGER, format INTEGER NOT NULL);
--> statement-breakpoint
CREATE TABLE "_dv_passages_search_chunks" ("column" TEXT NOT NULL, generation INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY ("column", generation, part));
--> statement-breakpoint
CREATE TABLE "_dv_passages_search_evicted" (seq INTEGER PRIMARY KEY, id INTEGER NOT NULL);
--> statement-breakpoint
CREATE VIRTUAL TABLE "_dv_passages_search_fts" USING fts5(c0, c1, tokenize = 'porter unicode61 remove_diacritics 2');
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_logdelete" AFTER DELETE ON "_dv_passages_search_log" WHEN (SELECT count(*) = count(h.seq) AND old.seq < min(h.seq) - 4096 FROM "_dv_passages_search_head" AS h) IS NOT 1 BEGIN INSERT INTO "_dv_passages_search_log" (id) SELECT NULL WHERE NOT ((SELECT l.id IS NULL FROM "_dv_passages_search_log" AS l WHERE l.seq > old.seq ORDER BY l.seq DESC LIMIT 1) IS 1); END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_logupdate" AFTER UPDATE ON "_dv_passages_search_log" WHEN (SELECT count(*) = count(h.seq) AND old.seq < min(h.seq) - 4096 FROM "_dv_passages_search_head" AS h) IS NOT 1 BEGIN INSERT INTO "_dv_passages_search_log" (id) SELECT NULL WHERE NOT ((SELECT l.id IS NULL FROM "_dv_passages_search_log" AS l WHERE l.seq > old.seq ORDER BY l.seq DESC LIMIT 1) IS 1); END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_insert" AFTER INSERT ON "passages" BEGIN INSERT INTO "_dv_passages_search_log" (id) SELECT new."id"; DELETE FROM "_dv_passages_search_fts" WHERE rowid = new."id"; INSERT INTO "_dv_passages_search_fts" (rowid, c0, c1) SELECT r."id", r."heading", r."text" FROM "passages" AS r WHERE r."id" = new."id"; END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_delete" AFTER DELETE ON "passages" BEGIN DELETE FROM "_dv_passages_search_fts" WHERE rowid = old."id"; INSERT INTO "_dv_passages_search_fts" (rowid, c0, c1) SELECT r."id", r."heading", r."text" FROM "passages" AS r WHERE r."id" = old."id"; END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_updatekey" AFTER UPDATE OF "id", "rowid", "_rowid_", "oid" ON "passages" WHEN old."id" IS NOT new."id" BEGIN DELETE FROM "_dv_passages_search_fts" WHERE rowid = old."id"; INSERT INTO "_dv_passages_search_fts" (rowid, c0, c1) SELECT r."id", r."heading", r."text" FROM "passages" AS r WHERE r."id" = old."id"; DELETE FROM "_dv_passages_search_fts" WHERE rowid = new."id"; INSERT INTO "_dv_passages_search_fts" (rowid, c0, c1) SELECT r."id", r."heading", r."text" FROM "passages" AS r WHERE r."id" = new."id"; END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_updatetext" AFTER UPDATE OF "heading", "text" ON "passages" WHEN old."id" IS new."id" AND (old."heading" IS NOT new."heading" COLLATE BINARY OR old."text" IS NOT new."text" COLLATE BINARY) BEGIN DELETE FROM "_dv_passages_search_fts" WHERE rowid = new."id"; INSERT INTO "_dv_passages_search_fts" (rowid, c0, c1) SELECT r."id", r."heading", r."text" FROM "passages" AS r WHERE r."id" = new."id"; END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_deletevectors" BEFORE DELETE ON "passages" BEGIN INSERT INTO "_dv_passages_search_log" (id) SELECT old."id"; END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_movevectors" BEFORE UPDATE OF "id", "rowid", "_rowid_", "oid" ON "passages" WHEN old."id" IS NOT new."id" BEGIN INSERT INTO "_dv_passages_search_log" (id) SELECT old."id"; INSERT INTO "_dv_passages_search_log" (id) SELECT new."id"; END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_updatevectors" BEFORE UPDATE OF "embedding" ON "passages" WHEN old."id" IS new."id" AND (old."embedding" IS NOT new."embedding" COLLATE BINARY) BEGIN INSERT INTO "_dv_passages_search_log" (id) SELECT old."id"; END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_guardupdate" BEFORE UPDATE OF "id", "rowid", "_rowid_", "oid" ON "passages" WHEN old."id" IS NOT new."id" BEGIN INSERT INTO "_dv_passages_search_evicted" (id) SELECT r."id" FROM "passages" AS r WHERE r."id" = new."id" AND r."id" IS NOT old."id"; DELETE FROM "_dv_passages_search_evicted" WHERE seq <= (SELECT e.seq FROM "_dv_passages_search_evicted" AS e ORDER BY e.seq DESC LIMIT 1) - 1 AND id NOT IN (SELECT e.id FROM "_dv_passages_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "passages" AS r WHERE r."id" = e.id)); END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_sweepupdate" AFTER UPDATE OF "id", "rowid", "_rowid_", "oid" ON "passages" WHEN (old."id" IS NOT new."id") AND EXISTS (SELECT 1 FROM "_dv_passages_search_evicted") BEGIN DELETE FROM "_dv_passages_search_fts" WHERE rowid IN (SELECT e.id FROM "_dv_passages_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "passages" AS r WHERE r."id" = e.id)); DELETE FROM "_dv_passages_search_evicted" WHERE id IN (SELECT e.id FROM "_dv_passages_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "passages" AS r WHERE r."id" = e.id)); END;
--> statement-breakpoint
CREATE TRIGGER "_dv_passages_search_sweepdelete" AFTER DELETE ON "passages" WHEN EXISTS (SELECT 1 FROM "_dv_passages_search_evicted") BEGIN DELETE FROM "_dv_passages_search_fts" WHERE rowid IN (SELECT e.id FROM "_dv_passages_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "passages" AS r WHERE r."id" = e.id)); DELETE FROM "_dv_passages_search_evicted" WHERE id IN (SELECT e.id FROM "_dv_passages_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "passages" AS r WHERE r."id" = e.id)); END;
--> statement-breakpoint
INSERT INTO "_dv_passages_search_fts" (rowid, c0, c1) SELECT r."id", r."heading", r."text" FROM "passages" AS r ORDER BY r."id";
--> statement-breakpoint
DELETE FROM "_dv_passages_search_chunks";
--> statement-breakpoint
DELETE FROM "_dv_passages_search_head" WHERE "column" NOT IN ('embedding');
--> statement-breakpoint
INSERT INTO "_dv_passages_search_head" ("column", generation, format) VALUES ('embedding', 0, 1) ON CONFLICT ("column") DO UPDATE SET generation = generation + 1, seq = NULL, nonce = NULL, format = excluded.format;
--> statement-breakpoint
INSERT INTO "_dv_passages_search_log" (id) VALUES (NULL);
--> statement-breakpoint
INSERT INTO "_dv_indexes" (name, tbl, definition, hash, managed, format, pending) VALUES ('passages_search', 'passages', '{"name":"passages_search","table":"passages","key":{"columns":["id"],"isRowid":true},"text":{"columns":[{"column":"heading","weight":3},{"column":"text","weight":1}],"tokenizer":"porter unicode61 remove_diacritics 2"},"vectors":[{"column":"embedding","dimensions":256,"element":"float32","metric":"cosine","exact":true}]}', '7fd7b5feaedfea97', 'migrations', 1, NULL) ON CONFLICT (name) DO UPDATE SET name = excluded.name, tbl = excluded.tbl, definition = excluded.definition, hash = excluded.hash, managed = excluded.managed, format = excluded.format, pending = excluded.pending;
