import assert from "node:assert/strict";
import { test } from "node:test";
import { isSame, says } from "../src/evidence/done.ts";
import type { Withdrawal } from "../src/evidence/entries.ts";

const queued: Withdrawal = {
  owner: "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
  amountSat: 50_000_000n,
  maxFeeSat: 2_000n,
  askedAt: 1_000,
  tie: undefined,
  paidBy: undefined,
  givenBack: undefined,
  script: "0x0014751e76e8199196d454941c45d1b3a323f1433bd6",
};

test("done is what the state shows, whatever a receipt says", () => {
  assert.equal(says(queued, { does: "cancel", id: 1 }), false);
  assert.equal(says({ ...queued, givenBack: "cancelled" }, { does: "cancel", id: 1 }), true);
  assert.equal(says({ ...queued, givenBack: "refunded" }, { does: "cancel", id: 1 }), false);
  assert.equal(says({ ...queued, givenBack: "refunded" }, { does: "refund", id: 1 }), true);
  assert.equal(says(queued, { does: "raise", id: 1, maximumSat: 2_001n }), false);
  assert.equal(says(queued, { does: "raise", id: 1, maximumSat: 2_000n }), true);
});

test("another's withdrawal is not the one that was signed for", () => {
  const { owner, amountSat, maxFeeSat, script } = queued;
  const asked = { owner: owner.toUpperCase().replace("0X", "0x"), amountSat, maxFeeSat, script };
  assert.equal(isSame(queued, asked), true);
  assert.equal(isSame({ ...queued, maxFeeSat: 3_000n }, asked), true, "raised since");
  for (const other of [{ owner: "0x70997970c51812dc3a010c7d01b50e0d17dc79c8" as const }, { amountSat: 1n }, { maxFeeSat: 1_999n }, { script: "0x0014" as const }]) {
    assert.equal(isSame({ ...queued, ...other }, asked), false, JSON.stringify(Object.keys(other)));
  }
  assert.equal(isSame(queued, { owner, amountSat }), true, "as an earlier page kept it");
});
