import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { ContractName } from "../src/abi/decode.ts";
import { NAMES } from "../src/abi/signatures.ts";
import { NotProven } from "../src/evidence/failure.ts";
import { codeOf, faultsOf, sentenceOf } from "../src/faults.ts";
import { LEDGER } from "../src/faults/ledger.ts";
import { NODE } from "../src/faults/node.ts";
import { PAGE } from "../src/faults/page.ts";
import { WALLET } from "../src/faults/wallet.ts";
import { NodeDown, NodeError } from "../src/node.ts";
import { Reverts } from "../src/wallet/send.ts";
import { WalletError } from "../src/wallet/wallet.ts";

const contracts = Object.keys(NAMES) as ContractName[];

test("each error of the ledger's contracts has a page, and pages are of errors that there are", () => {
  for (const contract of contracts) {
    const { abi } = JSON.parse(readFileSync(`../../contracts/artifacts/${NAMES[contract]}.json`, "utf8")) as { abi: { type: string; name: string }[] };
    const errors = abi.filter(({ type }) => type === "error").map(({ name }) => name);
    assert.deepEqual(Object.keys(LEDGER[contract].faults).sort(), [...new Set(errors)].sort(), contract);
  }
});

test("each code that docs/rpc.md names has a page", () => {
  const text = readFileSync("../../docs/rpc.md", "utf8");
  const named = new Set([...text.matchAll(/-3[28]\d{3}\b/g)].map(([code]) => code));
  assert.ok(named.size > 10);
  for (const code of ["3", "4", "5", ...named]) assert.ok(NODE[Number(code)], code);
});

test("each code of EIP-1193, EIP-1474 and EIP-3326 has a page", () => {
  for (const code of [4001, 4100, 4200, 4900, 4901, 4902, -32700, -32600, -32601, -32602, -32603, -32000, -32001, -32002, -32003, -32004, -32005, -32006]) assert.ok(WALLET[code], String(code));
});

test("each page says what happened, what it means for the money, and what to do", () => {
  const codes = [...contracts.flatMap((contract) => Object.keys(LEDGER[contract].faults)), ...Object.keys(NODE).map((code) => `rpc${code}`), ...Object.keys(WALLET).map((code) => `wallet${code}`), ...Object.keys(PAGE)];
  for (const code of codes) {
    const found = faultsOf(code);
    assert.ok(found.length, code);
    for (const { title, by, happened, money, act } of found) {
      assert.doesNotMatch(title, /[.!]$/, code);
      for (const words of [happened, money, act]) assert.match(words, /^[A-Z].{4,}[.]$/, `${code}: ${words}`);
      assert.ok(by, code);
    }
  }
});

test("an error that contracts share shows what it means for each of them", () => {
  assert.deepEqual(faultsOf("AmountOutOfRange").map(({ by }) => by), ["The bridge", "Payment channels"]);
});

test("whatever goes wrong leads to a page", () => {
  const wanted: [unknown, string][] = [
    [new Reverts("NotOwner", []), "NotOwner"],
    [new Reverts("Error", []), "Error"],
    [new NodeDown("the node does not answer"), "node-down"],
    [new NodeError(-32005, "limit"), "rpc-32005"],
    [new NodeError(-32000, "insufficient funds for gas * price + value"), "insufficient-funds"],
    [new NodeError(-31999, "of tomorrow"), "rpc-31999"],
    [new WalletError(4001, "no"), "wallet4001"],
    [new WalletError(5730, "of tomorrow"), "wallet5730"],
    [new NotProven("a root"), "not-proven"],
    [new TypeError("x is undefined"), "unexpected"],
    ["words alone", "unexpected"],
    [undefined, "unexpected"],
  ];
  for (const [error, code] of wanted) {
    assert.equal(codeOf(error), code);
    assert.ok(faultsOf(code).length, code);
  }
});

test("whatever is thrown is told as a sentence", () => {
  assert.equal(sentenceOf(new NodeDown("the node does not answer")), "The node does not answer.");
  assert.equal(sentenceOf("It ends."), "It ends.");
  assert.equal(sentenceOf(new Error("")), "Something failed without a word.");
});

test("what is no code has no page, and breaks nothing", () => {
  for (const code of ["", "toString", "__proto__", "constructor", "rpc", "rpcx", "rpc--1", "wallet1e9", "rpc99999999999999999999", "a".repeat(10_000)]) assert.deepEqual(faultsOf(code), [], code);
});
