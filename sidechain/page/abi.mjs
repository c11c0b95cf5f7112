#!/usr/bin/env node
// Writes src/abi/signatures.ts: the names of the ledger's contracts, and what they can be called with, log and refuse, by contracts/artifacts, in the form that viem reads.
// A tenth of the artifacts' bytes. `--check` writes nothing, and exits 1 when what is committed is stale; test/abi.test.ts runs it.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
/** By their places in `peg_getInfo`. */
const NAMES = {
  lightClient: "BitcoinLightClient",
  federation: "Federation",
  signingBoard: "SigningBoard",
  bridge: "Bridge",
  vault: "Vault",
  deposits: "Deposits",
  microChannel: "MicroChannel",
  wrappedBtc: "WrappedBtc",
};

/** Types by their names, so that a content's fields are not written out thirty times. */
const structs = new Map();

function typeOf(input) {
  if (!input.type.startsWith("tuple")) return input.type;
  const name = input.internalType.replace(/^struct /, "").replace(/\[.*$/, "").replaceAll(".", "");
  structs.set(name, input.components.map((component) => `${typeOf(component)} ${component.name};`).join(" "));
  return name + input.type.slice("tuple".length);
}

const inputs = (entry) => entry.inputs.map((input) => [typeOf(input), input.indexed ? "indexed" : "", input.name].filter(Boolean).join(" ")).join(", ");

const lines = [];
for (const [place, name] of Object.entries(NAMES)) {
  const { abi } = JSON.parse(readFileSync(join(root, "../../contracts/artifacts", `${name}.json`), "utf8"));
  const acts = abi.filter((entry) => ["event", "error"].includes(entry.type) || (entry.type === "function" && !["view", "pure"].includes(entry.stateMutability)));
  lines.push(`  ${place}: [`, ...acts.map((entry) => `    ${JSON.stringify(`${entry.type} ${entry.name}(${inputs(entry)})`)},`), "  ],");
}
const text = `// Made by abi.mjs from contracts/artifacts: do not edit.
import type { Contracts } from "../peg/answers.ts";

/** The contracts by their places in peg_getInfo. */
export const NAMES: Record<keyof Contracts, string> = {
${Object.entries(NAMES).map(([place, name]) => `  ${place}: "${name}",`).join("\n")}
};

export const STRUCTS: readonly string[] = [
${[...structs].map(([name, fields]) => `  "struct ${name} { ${fields} }",`).join("\n")}
];

export const SIGNATURES: Record<keyof Contracts, readonly string[]> = {
${lines.join("\n")}
};
`;
const path = join(root, "src/abi/signatures.ts");
if (!process.argv.includes("--check")) writeFileSync(path, text);
else if (readFileSync(path, "utf8") !== text) {
  console.error("sidechain/page/src/abi/signatures.ts is STALE: it is not what contracts/artifacts make; run 'node abi.mjs' in sidechain/page");
  process.exit(1);
}
