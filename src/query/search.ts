import { and, getTableName, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn, SubqueryWithSelection } from "drizzle-orm/sqlite-core";
import { type Attachment, attachmentNamed, attachmentsOf } from "../change/attachment.ts";
import { describe } from "../codec/codec.ts";
import { type DbLike, type Driver, driverOf, type KindOf, type Row, type Steps } from "../driver/driver.ts";
import {
  DeclarationDriftError,
  IndexDetachedError,
  IndexFormatError,
  IndexMissingError,
  IndexPendingError,
  InvalidOptionError,
} from "../errors.ts";
import { columnName, type IndexDefinition } from "../migration/definition.ts";
import { namesOf } from "../schema/names.ts";
import { isSearchIndex, type SearchIndex } from "../schema/search-index.ts";
import { type Match, matchOf } from "../text/match.ts";
