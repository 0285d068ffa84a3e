import { ConnectionBusyError, ReadOnlyError } from "../errors.ts";

/** The savepoint that `write` works in where the caller has a transaction open. */
export const SAVEPOINT = "_dv_write";

/** Puts a typed error in the place of the driver's when a write met a read-only database. */
export function clearlyReadOnly(error: unknown): unknown {
  const { code } = Object(error) as { code?: unknown };
  if (typeof code !== "string" || !code.startsWith("SQLITE_READONLY")) return error;
  return new ReadOnlyError({
    subject: "db",
    expected: "a database that can be written",
    got: "one that is read-only",
    hint: "Create and repair search indexes where the app can write: in a migration, or at deployment.",
    cause: error,
  });
}

/** The error for the driver's own about the state of its connection. */
export function connectionBusy(got: string, hint: string, cause: unknown): ConnectionBusyError {
  return new ConnectionBusyError({
    subject: "db",
    expected: "a connection that can run a statement",
    got,
    hint,
    cause,
  });
}
