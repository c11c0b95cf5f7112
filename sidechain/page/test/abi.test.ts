import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { encodeErrorResult, encodeFunctionData, toEventSelector } from "viem";
import { type ContractName, namesOf, readCall, readError, topicOf } from "../src/abi/decode.ts";
import { NAMES } from "../src/abi/signatures.ts";
import { CALLS, EVENTS } from "../src/abi/words.ts";

const contracts = Object.fromEntries(Object.keys(NAMES).map((name, at) => [name, `0xca0500000000000000000000000000000000000${at}`])) as Record<ContractName, string>;
const artifact = (name: ContractName) => JSON.parse(readFileSync(`../../contracts/artifacts/${NAMES[name]}.json`, "utf8")).abi;

test("the signatures are those of contracts/artifacts: node abi.mjs writes them again", () => {
  execFileSync("node", ["abi.mjs", "--check"]);
  for (const name of Object.keys(NAMES) as ContractName[]) {
    for (const entry of artifact(name)) if (entry.type === "event") assert.equal(topicOf(name, entry.name), toEventSelector(entry), `${name}.${entry.name}`);
  }
});

test("each event has words, and words are of events and calls that there are", () => {
  for (const name of Object.keys(NAMES) as ContractName[]) {
    assert.deepEqual(Object.keys(EVENTS[name]).sort(), namesOf(name, "event").sort(), name);
    for (const call of Object.keys(CALLS[name] ?? {})) assert.ok(namesOf(name, "function").includes(call), `${name}.${call}`);
  }
});

test("a call and a refusal are read with their arguments, and junk is left as it is", () => {
  const data = encodeFunctionData({ abi: artifact("bridge"), functionName: "raise", args: [7n, 5_000n] });
  const read = readCall(contracts, contracts.bridge, data);
  assert.deepEqual(read?.args.map(({ name, value }) => [name, value]), [["id", 7n], ["maxFeeSat", 5_000n]]);
  const refusal = artifact("bridge").find((entry: { type: string; inputs: unknown[] }) => entry.type === "error" && entry.inputs.length === 0);
  assert.equal(readError(encodeErrorResult({ abi: [refusal], errorName: refusal.name }))?.name, refusal.name);
  assert.equal(readCall(contracts, contracts.bridge, "0xdeadbeef"), undefined);
  assert.equal(readCall(contracts, contracts.bridge, `${data.slice(0, 20)}`), undefined);
  assert.equal(readError("0xdeadbeef00"), undefined);
});
