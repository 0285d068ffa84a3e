export default { serverExternalPackages: ["better-sqlite3"] };
