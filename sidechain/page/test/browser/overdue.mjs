// A withdrawal that nobody paid for so long that anybody may give it back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { line, open, says, text, violations } from "./browser.mjs";
import { KEYS } from "./network.mjs";
import { startWithRules } from "./network_of_rules.mjs";
import { OTHER_PAYEE, connect, order, other, owner, sign, timesAsked } from "./owner.mjs";

/** A week on the usual network. */
const REFUND_AFTER_S = 40;
const AMOUNT_SAT = 3_000_000n;

test("a withdrawal that waited too long is given back by anybody, and its owner has all of it again", async () => {
  const network = await startWithRules({ refundAfter: REFUND_AFTER_S });
  try {
    await givenBack(network);
  } finally {
    await network.stop();
  }
});

async function givenBack({ url: at, rpc, balance, without }) {
  const { page, close } = await open("out", { key: KEYS[1], at });
  await connect(page);
  // Relayers would give it back themselves.
  await without(["relayer-1", "relayer-2"], async () => {
    await order(page, { to: OTHER_PAYEE, amount: "0.03" });
    const id = await sign(page);
    await says(page, /If it is still queued in \d+ seconds/);
    assert.equal(await page.getByRole("button", { name: "Give it back" }).count(), 0, "not before its time");

    // It stands first in what is its owner's, who did not come back to it.
    await page.getByRole("link", { name: "Yours" }).click();
    await says(page, "No money waits for an act of yours");
    await says(page, "Waits for you");
    await page.getByRole("button", { name: "Give it back" }).waitFor();
    const { askedAt } = await rpc("peg_getWithdrawal", id);
    assert.ok(Date.now() / 1000 - askedAt >= REFUND_AFTER_S, "it is overdue");

    const stranger = await open(`withdrawal/${id}`, { key: KEYS[0], at });
    await says(stranger.page, "It has waited too long: anybody can give it back to its owner.");
    // The network is added when something is signed.
    await stranger.page.getByRole("button", { name: "Connect Test wallet" }).click();
    assert.ok(await stranger.page.getByRole("button", { name: "Cancel it" }).isDisabled(), "that is its owner's alone");
    assert.deepEqual(await violations(stranger.page), []);
    const had = { owner: await balance(other), stranger: await balance(owner) };
    await stranger.page.getByRole("button", { name: "Give it back" }).click();
    await says(stranger.page, "Done: its owner has the coins again.");
    await says(stranger.page, /^given back$/);
    assert.equal(await line(stranger.page, "Coins given back"), AMOUNT_SAT);
    await says(stranger.page, /Proven in this browser, by block/);
    assert.equal(await timesAsked(stranger.page), 1);
    assert.equal(await balance(other), had.owner + AMOUNT_SAT, "its owner has all of it");
    const paid = had.stranger - (await balance(owner));
    assert.ok(paid >= 0n && paid < 1_000n, `the stranger paid ${paid} sat of gas`);
    await stranger.close();

    // The owner's card goes by itself.
    await says(page, "No money waits for an act of yours");
    assert.doesNotMatch(await text(page), /Give it back/);
    assert.equal((await rpc("peg_getWithdrawal", id)).status, "refunded");
  });
  await close();
}
