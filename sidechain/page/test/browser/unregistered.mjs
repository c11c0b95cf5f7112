// A deposit address that no node was told of, and that was paid all the same: the money is nobody's but its owner's, who has to be told so.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { line, open, says, violations } from "./browser.mjs";
import { causeway, dev, rpc, url } from "./network.mjs";
import { folder, owner } from "./owner.mjs";
import { RECLAIM_KEY } from "./requests.mjs";

/** The page's own code, which makes an address without telling anybody. */
const { outputFiles } = await build({ entryPoints: [new URL("../../src/bitcoin/record.ts", import.meta.url).pathname], bundle: true, format: "esm", platform: "node", write: false });
const { newRecord, ownReclaimKey, recordText } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);

test("a payment to an address that no node knows is not passed over in silence, and its record brings it in", async () => {
  // Another maximum makes another address.
  const maxFeeSat = 10_000n + BigInt(Date.now() % 10_000);
  const record = newRecord(await rpc("peg_getInfo"), { recipient: owner, claimant: owner }, maxFeeSat, ownReclaimKey(RECLAIM_KEY));
  const { address } = record;
  await dev("pay", address, "0.04 BTC");
  await dev("mine", "3");

  const { page, close } = await open();
  await page.getByRole("searchbox").fill(address);
  await page.getByRole("button", { name: "Find" }).click();
  await says(page, "Nothing is found");
  await says(page, /this node has no registration of it, and no payment to it was proven/);
  await page.getByRole("link", { name: "Its page says what it waits for" }).click();
  await says(page, "No payment to this address is in the ledger yet");
  await says(page, /This node has no registration of it: nobody looks for payments to it here/);
  await says(page, "It waits");
  await says(page, /can be taken back 1008 Bitcoin blocks after its payment/);
  await says(page, `causeway reclaim ${address} --to YOUR_BITCOIN_ADDRESS`);
  await says(page, /^For somebody who tells the node of it: .* one that was made stays where it is\.$/);
  for (const command of ["register", "status"]) await says(page, new RegExp(`causeway ${command} ${address}`));
  assert.equal(await page.locator(".steps li.done").count(), 0);
  assert.deepEqual(await violations(page), []);
  assert.equal((await rpc("peg_getDeposit", address)).registered, false);

  // What the page says to do about it.
  const home = join(folder, "unregistered");
  mkdirSync(join(home, "deposits"), { recursive: true });
  writeFileSync(join(home, "deposits", `${address}.json`), recordText(record));
  await causeway("register", address, "--home", home, "--rpc", url);
  await says(page, /^minted$/);
  assert.equal(await line(page, "Paid to the address"), 4_000_000n);
  await says(page, /Proven in this browser, by block/);
  await close();
});
