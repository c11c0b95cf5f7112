// What an owner did is done when the ledger shows it, whatever a receipt says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { proveDone, proveSigned, type Signed } from "../src/evidence/done.ts";
import { proveWithdrawal } from "../src/evidence/live.ts";
import { NodeDown } from "../src/node.ts";
import { finality, genesis, receiptNode, reserves } from "./receipt_node.ts";

const at = finality.number;
const now = () => reserves.header.timestamp + 1;

async function signed(): Promise<Signed> {
  const { withdrawal } = await proveWithdrawal(receiptNode(), genesis, 1);
  assert.ok(withdrawal);
  const { owner, amountSat, maxFeeSat, script, askedAt } = withdrawal;
  return { owner, amountSat, maxFeeSat, script, sinceS: askedAt };
}

test("a maximum is raised when the ledger has it, and coins are back when it says so", async () => {
  const { maxFeeSat, owner } = await signed();
  const done = (of: Parameters<typeof proveDone>[2]) => proveDone(receiptNode(), genesis, of, at, now, 0);
  assert.equal((await done({ does: "raise", id: 1, maxFeeSat })).number, at);
  await assert.rejects(done({ does: "raise", id: 1, maxFeeSat: maxFeeSat + 1n }), /its maximum is/);
  await assert.rejects(done({ does: "cancel", id: 1, by: owner }), /not given back/);
  await assert.rejects(done({ does: "refund", id: 1 }), /not given back/);
});

test("a block before the receipt's, or an old one, shows nothing of it", async () => {
  const { maxFeeSat } = await signed();
  const raise = { does: "raise" as const, id: 1, maxFeeSat };
  await assert.rejects(proveDone(receiptNode(), genesis, raise, at + 1, now, 0), /its receipt is of block 86/);
  await assert.rejects(proveDone(receiptNode(), genesis, raise, Number("what"), now, 0), /names no block/);
  await assert.rejects(proveDone(receiptNode(), genesis, raise, at, () => now() + 300, 0), /5 minutes old/);
});

test("a node that is away for a moment is asked again", async () => {
  const { maxFeeSat } = await signed();
  let times = 0;
  const node = receiptNode({
    peg_getFinality: () => {
      if (times++ < 2) throw new NodeDown("the node does not answer");
      return finality;
    },
  });
  await proveDone(node, genesis, { does: "raise", id: 1, maxFeeSat }, at, now, 0);
  assert.equal(times, 3);
});

test("a withdrawal is the one that was signed by its owner, amount, payee, maximum and time", async () => {
  const one = await signed();
  const proven = (changed: Partial<Signed> = {}) => proveSigned(receiptNode(), genesis, 1, { ...one, ...changed }, at, now, 0);
  assert.equal((await proven()).number, at);
  await proven({ maxFeeSat: one.maxFeeSat - 1n });
  await assert.rejects(proven({ owner: `0x${"11".repeat(20)}` }), /signed/);
  await assert.rejects(proven({ amountSat: one.amountSat + 1n }), /sat were signed/);
  await assert.rejects(proven({ script: "0x51" }), /pays the script/);
  await assert.rejects(proven({ maxFeeSat: one.maxFeeSat + 1n }), /pays at most/);
  await assert.rejects(proven({ sinceS: one.sinceS + 1 }), /before this one was signed/);
});
