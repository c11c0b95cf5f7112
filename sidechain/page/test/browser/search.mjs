// One field that finds a request by whatever somebody has.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bech32m } from "@scure/base";
import { checksumAddress } from "viem";
import { aSecond, drawnAfter, open, quickest, says, text } from "./browser.mjs";
import { rpc } from "./network.mjs";
import { PAYEE, owner } from "./owner.mjs";
import { RECLAIM_KEY, requests } from "./requests.mjs";

/** Milliseconds from pressing Find to a page that is about it, in a browser that was never here. */
async function find(what, wanted) {
  return quickest(async () => {
    const { page, close } = await open();
    await says(page, "Is everything there?");
    await page.evaluate((awaited) => Object.assign(window.drawn, { awaited, at: undefined }), wanted);
    await page.getByRole("searchbox").fill(what);
    await page.getByRole("button", { name: "Find" }).click();
    const took = await drawnAfter(page);
    await close();
    return took;
  });
}

async function finds(what, ...wanted) {
  const took = await find(what, wanted);
  console.log(`${what.slice(0, 80)} is found in ${took} ms`);
  assert.ok(took < aSecond(), `${what}: ${took} ms`);
}

test("whoever has a part of a deposit finds it within a second, from a browser that was never here", async () => {
  const { deposit } = await requests();
  const outputKey = Buffer.from(bech32m.fromWords(bech32m.decode(deposit.address).words.slice(1))).toString("hex");
  const sweep = await rpc("peg_getVaultTransaction", deposit.sweptBy);
  const page = ["What came of it", deposit.address];
  await finds(deposit.address, ...page);
  await finds(` ${deposit.address.toUpperCase()}\n`, ...page);
  await finds(`bitcoin:${deposit.address}?amount=0.1`, ...page);
  await finds(outputKey, ...page);
  await finds(`${deposit.txid}:${deposit.vout}`, ...page);
  // The accounts of a new network are funded by one transaction.
  const { deposits } = await rpc("peg_getDeposits", {}, null, 100);
  const isAlone = deposits.filter(({ txid }) => txid === deposit.txid).length === 1;
  await finds(deposit.txid, ...(isAlone ? page : [`The deposit of output ${deposit.vout}`]));
  await finds(sweep.txid, `Vault transaction ${sweep.number}`, "What goes in and out");
});

test("whoever has a part of a withdrawal finds it within a second", async () => {
  const { withdrawal } = await requests();
  const { contracts } = await rpc("peg_getInfo");
  const [asked] = await rpc("eth_getLogs", { address: contracts.bridge, topics: [null, `0x${withdrawal.id.toString(16).padStart(64, "0")}`], fromBlock: "0x0", toBlock: "latest" });
  const page = [`Withdrawal ${withdrawal.id}`, "What came of it"];
  const { number, txid } = withdrawal.versions.find(({ number }) => number === withdrawal.paidBy);
  await finds(`withdrawal ${withdrawal.id}`, ...page);
  await finds(String(withdrawal.id), "Found", `Withdrawal ${withdrawal.id}`);
  const { withdrawals } = await rpc("peg_getWithdrawals", { script: withdrawal.script }, null, 10);
  const ofPayee = withdrawals.length === 1 ? page : ["Found", `Withdrawal ${withdrawal.id}`];
  await finds(PAYEE, ...ofPayee);
  await finds(withdrawal.script, ...ofPayee);
  await finds(txid, `Vault transaction ${number}`, "What goes in and out");
  await finds(`vault ${number}`, `Vault transaction ${number}`, "What goes in and out");
  await finds(asked.transactionHash, "Transaction", "succeeded", asked.transactionHash);
  await finds(asked.blockHash, `Block ${Number(asked.blockNumber)}`);
  await finds(`block ${Number(asked.blockNumber)}`, `Block ${Number(asked.blockNumber)}`);
  await finds(owner, "Account", "Withdrawals by it", owner);
  await finds(`ethereum:${checksumAddress(owner)}`, "Account", "Withdrawals by it", owner);
});

test("what is not there, and what cannot be, is said in words", async () => {
  await finds("ab".repeat(32), "Nothing is found", "the id of a transaction or block, or a key");
  await finds(PAYEE.replace(/.$/, "q"), "This cannot be looked for", "checksum");
  await finds("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "This cannot be looked for", "mainnet");
  await finds("where is my money", "This cannot be looked for");
});

test("what is no request is put into no address and no history, and is not shown", async () => {
  const words = "abandon ability able about above absent absorb abstract absurd abuse access zoo";
  for (const begin of ["", "search"]) {
    const { page, close } = await open(begin);
    await page.getByRole("searchbox").fill(words);
    await page.getByRole("button", { name: "Find" }).click();
    await says(page, "This cannot be looked for");
    await says(page, /It was put into no address, no history and no request to the node/);
    assert.match(page.url(), /#\/search$/);
    assert.doesNotMatch(await text(page), /abandon/);
    await close();
  }
  // A link that somebody made of it all the same.
  const { page, close } = await open(`search/${encodeURIComponent(words)}`);
  await says(page, /It was taken out of this page's address/);
  assert.match(page.url(), /#\/search$/);
  assert.doesNotMatch(await text(page), /abandon/);
  await close();
});

test("an address that is registered and that nobody has paid is found, with what it waits for", async () => {
  const { epoch } = await rpc("peg_getInfo");
  const terms = { recipient: owner, claimant: owner, reclaimKey: `0x${RECLAIM_KEY}`, maxFeeSat: 5_000 + (Date.now() % 1_000), dataHash: `0x${"00".repeat(32)}`, epoch };
  const { address } = await rpc("peg_registerDeposit", terms);
  await finds(address, "No payment to this address is in the ledger yet", "It waits", address);
});
