// Bitcoin out: what is signed is what was shown, what is paid is what was added up, and what can be done while it waits.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bech32m } from "@scure/base";
import { line, open, says, violations } from "./browser.mjs";
import { KEYS, balance, paidTo, rpc, without } from "./network.mjs";
import { OTHER_PAYEE, PAYEE, connect, opened, order, other, owner, refuse, requireAsSaid, sign, timesAsked } from "./owner.mjs";

test("what a withdrawal lacks is said before anything is signed", async () => {
  const { page, close } = await open("out", { key: KEYS[0] });
  await connect(page);
  const address = page.getByLabel("Bitcoin address that is paid");
  for (const [typed, words] of [
    [PAYEE.replace(/.$/, "q"), /checksum/i],
    ["bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", /mainnet/],
    [owner, /./],
  ]) {
    await address.fill(typed);
    await page.locator("#address-fault", { hasText: words }).waitFor();
    console.log(`${typed}: ${await page.locator("#address-fault").innerText()}`);
  }
  // What is paid to the federation's own keys belongs to nobody; to a deposit address it goes round in a circle.
  const { groupKey, vaultKey } = await rpc("peg_getInfo");
  const taproot = (key) => bech32m.encode("bcrt", [1, ...bech32m.toWords(Buffer.from(key.slice(2), "hex"))]);
  const { deposits } = await rpc("peg_getDeposits", {}, null, 1);
  for (const [typed, words] of [[taproot(groupKey), "a key of the federation's own"], [taproot(vaultKey), "a key of the federation's own"], [deposits[0].address, "a deposit address of this peg"]]) {
    await address.fill(typed);
    await page.locator("#address-fault", { hasText: words }).waitFor();
  }
  await address.fill(PAYEE);
  const amount = page.getByLabel("Amount, in BTC");
  for (const [typed, words] of [
    ["100000", "Your account has less than that."],
    ["0.00001", "The smallest withdrawal is"],
    ["0,5 or so", "This is no amount"],
  ]) {
    await amount.fill(typed);
    await page.locator("#amount-fault", { hasText: words }).waitFor();
  }
  await page.getByRole("button", { name: "Look at what will be signed" }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "amount", "the field at fault has the focus");
  assert.equal(await timesAsked(page), 0);
  await close();
});

test("an owner takes bitcoin out: what will be signed is shown, and what arrives on Bitcoin adds up", async () => {
  const { page, close } = await open("out", { key: KEYS[0] });
  await connect(page);
  const had = await balance(owner);
  const said = await order(page, { amount: "0.05" });
  await refuse(page, true);
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  await says(page, "You said no in the wallet. Nothing was sent.");
  await refuse(page, false);
  await page.getByRole("button", { name: "Look at what will be signed" }).click();
  // Who presses twice signs once.
  await page.getByRole("button", { name: "Sign in the wallet" }).dblclick();
  const id = await opened(page);
  await says(page, /^paid$/);
  assert.equal(await timesAsked(page), 2, "one that was refused, and one");
  assert.equal(await line(page, "Taken in"), 5_000_000n);
  const arrives = await line(page, "Received on Bitcoin");
  const { versions, paidBy, amountSat } = await rpc("peg_getWithdrawal", id);
  const { txid, chargeSat } = versions.find(({ number }) => number === paidBy);
  await requireAsSaid(arrives, said, paidBy);
  assert.equal(await paidTo(txid, PAYEE), arrives, "bitcoind has the output");
  assert.equal(BigInt(amountSat - chargeSat), arrives);
  const has = await balance(owner);
  assert.ok(has <= had - 5_000_000n && has > had - 5_001_000n, `${had} sat, then ${has} sat`);
  console.log(`withdrawal ${id}: ${amountSat} sat left, ${arrives} sat arrived by ${txid}`);
  await says(page, /Proven in this browser, by block/);
  await close();
});

test("a wallet that goes to another network is given nothing to sign, and what that means has a page", async () => {
  const { page, close } = await open("out", { key: KEYS[1] });
  await connect(page);
  await order(page, { amount: "0.01" });
  await page.evaluate(
    () =>
      new Promise((done) => {
        const move = ({ detail }) => done(detail.provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: "0x1" }] }));
        window.addEventListener("eip6963:announceProvider", move, { once: true });
        window.dispatchEvent(new Event("eip6963:requestProvider"));
      }),
  );
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  await says(page, /it is on chain 1 by now.* Nothing was sent/i);
  assert.equal(await timesAsked(page), 0);
  await page.getByRole("link", { name: "What that means" }).click();
  await page.waitForURL(/#\/error\/wallet4902$/);
  for (const words of ["What happened", "Your money", "What to do"]) await says(page, words);
  await close();
});

test("a withdrawal waits with a reason, is raised and cancelled by its owner and by nobody else", async () => {
  const { page, close } = await open("out", { key: KEYS[1] });
  await connect(page);
  // Three of four sign together: with two away, nothing is bound.
  await without(["relayer-2", "relayer-3"], async () => {
    await order(page, { to: OTHER_PAYEE, amount: "0.03" });
    const id = await sign(page);
    await says(page, "queued");
    await says(page, "It waits");
    await page.getByLabel("New maximum, in sat").fill("much");
    await page.getByRole("button", { name: "Raise the maximum" }).click();
    await says(page, "This is no amount");
    await page.getByLabel("New maximum, in sat").fill("1");
    await page.getByRole("button", { name: "Raise the maximum" }).click();
    await says(page, /The ledger would refuse it \(\w+\). Nothing was sent./);
    await page.getByLabel("New maximum, in sat").fill("9000");
    await page.getByRole("button", { name: "Raise the maximum" }).click();
    await says(page, "it may cost more now");
    assert.equal((await rpc("peg_getWithdrawal", id)).maxFeeSat, 9_000);

    const stranger = await open(`withdrawal/${id}`, { key: KEYS[0] });
    await stranger.page.getByRole("button", { name: "Connect Test wallet" }).click();
    await says(stranger.page, /only 0x\w+… can/);
    assert.ok(await stranger.page.getByRole("button", { name: "Cancel it" }).isDisabled());
    await stranger.close();

    const before = await balance(other);
    await refuse(page, true);
    await page.getByRole("button", { name: "Cancel it" }).click();
    await says(page, "You said no in the wallet. Nothing was sent.");
    await refuse(page, false);
    await page.getByRole("button", { name: "Cancel it" }).click();
    await says(page, "the coins are back");
    await says(page, /^cancelled/);
    assert.equal(await line(page, "Coins given back"), 3_000_000n);
    assert.deepEqual(await violations(page), []);
    const after = await balance(other);
    assert.ok(after > before + 2_999_000n && after <= before + 3_000_000n, `${before} sat, then ${after} sat`);
  });
  await close();
});

test("a failure is the node's word, and the same is not offered again filled in", async () => {
  const { page, close } = await open("out", { key: KEYS[0], lies: { eth_getTransactionReceipt: (receipt) => receipt && { ...receipt, status: "0x0", logs: [] } } });
  await connect(page);
  await order(page, { amount: "0.02" });
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  await says(page, /failed, says this node: .* look with another node, or in your wallet, before you do it again/);
  assert.equal(await page.getByLabel("Amount, in BTC").inputValue(), "");
  assert.equal(await page.getByLabel("Bitcoin address that is paid").inputValue(), "");
  // It stays said while somebody fills in another.
  await order(page, { amount: "0.01" });
  await says(page, /failed, says this node/);
  assert.deepEqual(await violations(page), []);
  await close();
});

test("a reload in the middle of a withdrawal finds it again, and signs nothing twice", async () => {
  // Until the page may learn that it is in a block.
  let isHidden = true;
  const { page, close } = await open("out", { key: KEYS[0], lies: { eth_getTransactionReceipt: (receipt) => (isHidden ? null : receipt) } });
  await connect(page);
  const newest = async () => (await rpc("peg_getWithdrawals", { owner }, null, 1)).withdrawals[0]?.id;
  const before = await newest();
  await order(page, { to: OTHER_PAYEE, amount: "0.04" });
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  await says(page, /^Sent .* Waiting for a block with it/);
  await page.reload();
  await says(page, /^Sent .* Waiting for a block with it/);
  await says(page, "It is not sent again by a reload.");
  assert.equal(await timesAsked(page), 0, "since the reload");
  isHidden = false;
  const id = await opened(page);
  assert.notEqual(id, before);
  await page.reload();
  assert.equal(await opened(page), id);
  await says(page, /^paid$/);
  assert.equal(await newest(), id, "there is one more, and no other");
  await close();
});
