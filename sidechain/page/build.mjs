#!/usr/bin/env node
// Bundles src/ into dist/, which the node embeds: index.html, page.js, page.css. Nobody who runs a node needs npm.
// `--check` writes nothing: it bundles again, compares, and exits 1 when what is committed is stale.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");
/** Bytes of all, so that the first screen is there within a second on a slow line. */
const MOST_BYTES = 500_000;

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: { page: "src/app/main.ts", "page-style": "src/style.css" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
  write: false,
  outdir: "dist",
});
const made = new Map(outputFiles.map((file) => [file.path.split("/").at(-1).replace("page-style.css", "page.css"), file.text]));
made.set("index.html", readFileSync(join(root, "src/index.html"), "utf8"));
made.set("icon.svg", readFileSync(join(root, "src/icon.svg"), "utf8"));

const check = process.argv.includes("--check");
mkdirSync(dist, { recursive: true });
let failed = false;
let bytes = 0;
for (const [name, text] of made) {
  const path = join(dist, name);
  bytes += Buffer.byteLength(text);
  if (!check) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    console.error(`sidechain/page/dist/${name} is STALE: it is not what the sources make; run 'npm run build' in sidechain/page`);
    failed = true;
  }
}
console.log(`the page: ${Math.ceil(bytes / 1000)} kB`);
if (bytes > MOST_BYTES) {
  console.error(`the page has ${bytes} bytes, ${MOST_BYTES} are allowed`);
  failed = true;
}
process.exit(failed ? 1 : 0);
