#!/usr/bin/env node
// The compiler as forge wants to call it (`--version`, `--standard-json`), around the npm package `solc`, so that no compiler is downloaded
// apart from what package-lock.json pins.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (process.argv.includes("--standard-json")) {
  const file = process.argv[process.argv.indexOf("--standard-json") + 1];
  const input = readFileSync(file && !file.startsWith("-") ? file : 0, "utf8");
  process.stdout.write(solc.compile(input));
} else {
  console.error("solc.mjs answers only --version and --standard-json");
  process.exit(2);
}
