/** What both lines of drizzle-kit put between statements, and the only thing their migrators split on. */
const BREAKPOINT = "--> statement-breakpoint";

/** The statements of a migration file as its migrator runs them; pieces that hold nothing are left out. */
export function splitStatements(sql: string): string[] {
  return sql
    .split(BREAKPOINT)
    .map((statement) => statement.trim())
    .filter((statement) => !isComment(statement));
}

/**
 * A migration file with our statements around those of drizzle-kit. A file that holds nothing but comments (a custom
 * migration, as drizzle-kit makes it) gives way, because a migrator refuses a piece without a statement; so does a
 * breakpoint at the end.
 */
export function surround(file: string, { before, after }: { before: string[]; after: string[] }): string {
  const body = splitStatements(file).length === 0 ? [] : [trimmed(file)];
  return `${[...before.map(ended), ...body, ...after.map(ended)].join(`\n${BREAKPOINT}\n`)}\n`;
}

/** Migrators do not need the semicolon, but SQLite's shell does. */
function ended(statement: string): string {
  return statement.endsWith(";") ? statement : `${statement};`;
}

function trimmed(file: string): string {
  const text = file.trim();
  return text.endsWith(BREAKPOINT) ? text.slice(0, -BREAKPOINT.length).trim() : text;
}

function isComment(statement: string): boolean {
  return statement.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, "").trim() === "";
}
