/** A package-lock.json, as far as it is read here. */
export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface LockedPackage extends LockEntry {
  readonly name: string;
  /** Where it is installed, which is its key in the lock. */
  readonly path: string;
}

/** What an installation of the library brings along beside peers: its dependencies and theirs, sorted by name. */
export function productionPackages({ packages }: Lock): LockedPackage[] {
  const found = new Map<string, LockedPackage>();
  const visit = (from: string, { dependencies, optionalDependencies }: LockEntry) => {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const path = resolved(packages, from, name);
      if (found.has(path)) continue;
      found.set(path, { ...packages[path], name, path });
      visit(path, packages[path]!);
    }
  };
  visit("", packages[""]!);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** As Node.js looks: in the package's own `node_modules`, then in those above. */
function resolved(packages: Lock["packages"], from: string, name: string): string {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("node_modules/") - 1))) {
    const path = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (packages[path]) return path;
    if (folder === "") throw new Error(`package-lock.json has no ${name}, which ${from || "the library"} needs`);
  }
}
