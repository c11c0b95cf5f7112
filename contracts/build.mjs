#!/usr/bin/env node
// Compiles src/*.sol and writes artifacts/<Name>.json, what genesis and the Rust bindings are made of.
// `--check` writes nothing: it compiles again, compares, and exits 1 when what is committed is stale.
import { readFileSync, writeFileSync, readdirSync, mkdirSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const root = dirname(fileURLToPath(import.meta.url));
const contracts = ["BitcoinLightClient", "Federation", "SigningBoard", "Bridge", "MicroChannel"];
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
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
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
for (const contractName of contracts) {
  const { abi, evm } = compiled[`src/${contractName}.sol`][contractName];
  const runtimeBytes = evm.deployedBytecode.object.length / 2;
  const artifact = JSON.stringify({ contractName, abi, bytecode: `0x${evm.bytecode.object}` }, null, 1) + "\n";
  const path = join(root, "artifacts", `${contractName}.json`);
  const committed = existsSync(path) ? readFileSync(path, "utf8") : "";
  let note = "";
  if (runtimeBytes > maxRuntimeBytes) {
    failed = true;
    note = `TOO LARGE, the limit is ${maxRuntimeBytes}`;
  } else if (check && committed !== artifact) {
    failed = true;
    note = "STALE: the committed artifact is not what the sources compile to; run `npm run build`";
  }
  if (!check) writeFileSync(path, artifact);
  console.log(`${contractName.padEnd(20)} ${String(runtimeBytes).padStart(6)} bytes of runtime code ${note}`);
}
process.exit(failed ? 1 : 0);
