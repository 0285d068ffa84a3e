import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as errors from "../src/errors.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const readme = read("../README.md");
const packageJson = JSON.parse(read("../package.json"));

describe("the README", () => {
  test("has the two command lines that do everything, alone in a block", () => {
    expect(readme).toContain("```sh\nnpm ci && npm run demo\n```");
    expect(readme).toContain("```sh\nnpm ci && npm test\n```");
  });

  test("lists every error with its code", () => {
    const source = read("../src/errors.ts");
    const classes = [...source.matchAll(/^export class (\w+) .*\n.*\n {2}readonly code = "(\w+)"/gm)];
    const listed = classes.filter(([, name, code]) => new RegExp(`\`${name}\`[^|]*\\|\\s+\`${code}\``).test(readme));
    expect(listed.map(([, name]) => name)).toEqual(classes.map(([, name]) => name));
    expect(classes).toHaveLength(Object.keys(errors).length - 1);
  });

  test("gives a reason for every runtime dependency", () => {
    const named = Object.keys(packageJson.dependencies).filter((name) => readme.includes(`\`${name}\``));
    expect(named).toEqual(Object.keys(packageJson.dependencies));
  });

  test("documents every command of the command line", () => {
    const commands = [
      ...read("../src/cli/cli.ts").matchAll(/\b(generate|check|status|verify|rebuild|optimize|tune)\b/g),
    ].map(([name]) => name);
    for (const command of new Set(commands))
      expect(readme).toMatch(new RegExp(`\\| \`drizzle-vector ${command}\`\\s+\\|`));
  });

  test("speaks of the version that is released", () => {
    expect(read("../CHANGELOG.md")).toContain(`## ${packageJson.version}\n`);
  });
});
