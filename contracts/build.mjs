#!/usr/bin/env node
// Compiles src/*.sol and writes artifacts/<Name>.json, what genesis and the Rust bindings are made of, and what proofs of storage rest on: src/layout.rs, and
// the same for the page of a node, sidechain/page/src/evidence/layout.ts.
// `--check` writes nothing: it compiles again, compares, and exits 1 when what is committed is stale.
import { readFileSync, writeFileSync, readdirSync, mkdirSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { layoutScript, layoutSource } from "./layout.mjs";

const solc = createRequire(import.meta.url)("solc");
const root = dirname(fileURLToPath(import.meta.url));
const contracts = ["BitcoinLightClient", "Federation", "SigningBoard", "Bridge", "Vault", "Deposits", "MicroChannel", "WrappedBtc"];
/** EIP-170: an account's code, so that the contracts can be deployed on any EVM chain. */
const maxRuntimeBytes = 24_576;

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : entry.name.endsWith(".sol") ? [path] : [];
  });
}

function compile() {
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(
      sources(join(root, "src")).sort().map((path) => [relative(root, path), { content: readFileSync(path, "utf8") }]),
    ),
    settings: {
      evmVersion: "prague",
      optimizer: { enabled: true, runs: 200 },
      viaIR: true,
      metadata: { appendCBOR: false, bytecodeHash: "none" },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const problems = output.errors ?? [];
  for (const problem of problems) console.error(problem.formattedMessage);
  if (problems.some((problem) => problem.severity === "error")) process.exit(1);
  return output.contracts;
}

const compiled = compile();
mkdirSync(join(root, "artifacts"), { recursive: true });
const check = process.argv.includes("--check");
let failed = false;

/** Writes a file, or says whether the committed one is stale. */
function put(path, content) {
  if (!check) writeFileSync(path, content);
  else if (!existsSync(path) || readFileSync(path, "utf8") !== content) {
    failed = true;
    return "STALE: what is committed is not what the sources compile to; run `npm run build`";
  }
  return "";
}

const layouts = [];
for (const contractName of contracts) {
  const { abi, evm, storageLayout } = compiled[`src/${contractName}.sol`][contractName];
  layouts.push([contractName, storageLayout]);
  const runtimeBytes = evm.deployedBytecode.object.length / 2;
  const artifact = JSON.stringify({ contractName, abi, bytecode: `0x${evm.bytecode.object}` }, null, 1) + "\n";
  let note = put(join(root, "artifacts", `${contractName}.json`), artifact);
  if (runtimeBytes > maxRuntimeBytes) {
    failed = true;
    note = `TOO LARGE, the limit is ${maxRuntimeBytes}`;
  }
  console.log(`${contractName.padEnd(20)} ${String(runtimeBytes).padStart(6)} bytes of runtime code ${note}`);
}
for (const [path, content] of [
  ["src/layout.rs", layoutSource(layouts)],
  ["../sidechain/page/src/evidence/layout.ts", layoutScript(layouts)],
]) {
  const note = put(join(root, path), content);
  if (note) console.log(`${path} ${note}`);
}
process.exit(failed ? 1 : 0);
