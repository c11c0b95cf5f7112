// The package @causeway/payments, built from its sources and installed as npm would, in a folder of this process alone: others may do so at the same time.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const sources = fileURLToPath(new URL("../../bridge/payments/web/", import.meta.url));
const own = fileURLToPath(new URL(`node_modules/.web-package-${process.pid}/`, import.meta.url));
const installed = `${own}node_modules/@causeway/payments/`;
mkdirSync(installed, { recursive: true });
process.on("exit", () => rmSync(own, { recursive: true, force: true }));
cpSync(`${sources}package.json`, `${installed}package.json`);
execFileSync("npm", ["run", "--silent", "build", "--", "--outDir", `${installed}dist`], { cwd: sources, stdio: "inherit" });

export const payments = await import(pathToFileURL(createRequire(`${own}index.js`).resolve("@causeway/payments")));
