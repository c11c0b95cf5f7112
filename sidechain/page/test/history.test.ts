import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeAbiParameters } from "viem";
import { topicOf } from "../src/abi/decode.ts";
import { type Log, addressWord, turned, word } from "../src/chain/answers.ts";
import { buckets, part } from "../src/draw/chart.ts";
import type { Info } from "../src/peg/answers.ts";
import { measured, rangeOf, sampled } from "../src/peg/history.ts";
import { outputAmounts } from "../src/peg/transaction_outputs.ts";

const contracts = Object.fromEntries(["lightClient", "federation", "signingBoard", "bridge", "vault", "deposits", "microChannel", "wrappedBtc"].map((name, at) => [name, `0x${"0".repeat(39)}${at + 1}`])) as unknown as Info["contracts"];
const info = { contracts } as Info;
const log = (address: string, topics: string[], data: string, time: number): Log => ({ address, topics, data, blockNumber: "0x1", blockTimestamp: `0x${time.toString(16)}`, transactionHash: word(1), transactionIndex: "0x0", logIndex: "0x0" });
const txid = word(7) as `0x${string}`;

const minted = log(contracts.deposits, [topicOf("deposits", "DepositMinted"), addressWord(contracts.bridge), txid, word(3)], encodeAbiParameters([{ type: "uint32" }, { type: "uint64" }], [2, 900n]), 130);
const paid = log(contracts.bridge, [topicOf("bridge", "WithdrawalPaid"), word(5), word(3)], "0x", 160);
const queued = log(contracts.bridge, [topicOf("bridge", "WithdrawalQueued"), word(5), addressWord(contracts.bridge)], encodeAbiParameters([{ type: "uint64" }, { type: "uint64" }, { type: "bytes" }], [500n, 10n, "0x51"]), 120);
const terms = { type: "tuple", components: [{ type: "address" }, { type: "address" }, { type: "bytes32" }, { type: "uint64" }, { type: "bytes32" }, { type: "uint32" }] } as const;
const provenData = encodeAbiParameters(
  [{ type: "bytes32" }, { type: "uint32" }, { type: "uint64" }, { type: "bytes32" }, terms, { type: "bytes32" }, { type: "uint32" }],
  [txid, 2, 1000n, txid, [contracts.bridge as `0x${string}`, contracts.bridge as `0x${string}`, txid, 1n, txid, 1], txid, 4],
);
const proven = log(contracts.deposits, [topicOf("deposits", "DepositProven"), txid, addressWord(contracts.bridge)], provenData, 100);

test("flows and times are those that logs show, and what does not fit together is left out", () => {
  const { flows, depositTook, payoutTook } = measured(info, [minted], [proven], [paid], [queued]);
  assert.deepEqual(flows, [{ time: 130, sat: 900n }, { time: 160, sat: -500n }]);
  assert.deepEqual([depositTook, payoutTook], [[30], [40]]);
  const junk = { ...minted, data: "0x00" };
  assert.deepEqual(measured(info, [junk], [], [paid], []), { flows: [], depositTook: [], payoutTook: [] });
});

test("the middle of measured times is one of them", () => {
  assert.deepEqual(rangeOf([5, 1, 9, 3]), { count: 4, median: 3, least: 1, most: 9 });
  assert.equal(rangeOf([]), undefined);
});

test("blocks are sampled evenly, each once, and not the head", () => {
  assert.deepEqual(sampled(8, 4), [0, 2, 4, 6]);
  assert.deepEqual(sampled(2, 32), [0, 1]);
  assert.deepEqual(sampled(0, 32), []);
});

test("flows are added up by equal times, whose sum is the flows'", () => {
  const flows = [{ time: 0, sat: 5n }, { time: 9, sat: 7n }, { time: 10, sat: -3n }, { time: 11, sat: 1n }, { time: -1, sat: 1n }];
  const all = buckets(flows, 0, 10, 2);
  assert.deepEqual(all.map(({ inSat, outSat }) => [inSat, outSat]), [[5n, 0n], [7n, 3n]]);
  assert.equal(part(1n, 3n), 0.3333);
  assert.equal(part(-1n, 3n), 0);
  assert.equal(part(1n, 0n), 0);
});

test("ids of Bitcoin are turned around, and back", () => {
  assert.equal(turned("0x0102ff"), "ff0201");
  assert.equal(turned(turned(txid)), txid.slice(2));
});

test("amounts of a transaction's outputs are read, and junk has none", () => {
  // Two outputs behind one input (BIP-0143's unsigned example has the same form).
  const hex = `0x0100000001${"11".repeat(32)}00000000${"00"}ffffffff02e803000000000000${"0151"}d007000000000000${"00"}00000000`;
  assert.deepEqual(outputAmounts(hex), [1000n, 2000n]);
  assert.equal(outputAmounts(hex.slice(0, -2)), undefined);
  assert.equal(outputAmounts("0x0100000001ff"), undefined);
  assert.equal(outputAmounts(`0x01000000${"ff".repeat(9)}`), undefined);
  assert.equal(outputAmounts("zz"), undefined);
});
