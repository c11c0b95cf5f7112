// The page of what is an owner's: their own by the wallet, another's by the link.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, ready, says, text, violations } from "./browser.mjs";
import { KEYS } from "./network.mjs";
import { connect, other, owner } from "./owner.mjs";
import { paidTwice } from "./requests.mjs";

const current = (page) => page.locator("nav a[aria-current]").allInnerTexts();

test("an account of another is never said to be the reader's, with a wallet and without one", async () => {
  for (const key of [undefined, KEYS[0]]) {
    const { page, close } = await open("own", { key });
    if (key) {
      await connect(page);
      await says(page, /for an act of yours|Waits for you/);
    }
    await page.goto(`${page.url().split("#")[0]}#/own/${other}`);
    await says(page, /^(No money waits for an act of its owner, as far|Waits for its owner$)/);
    await ready(page);
    assert.doesNotMatch(await text(page), /\b(yours?|you)\b/i);
    assert.doesNotMatch(await page.title(), /yours/i);
    assert.deepEqual(await current(page), [], "no place of the reader's is open");
    await close();
  }
});

test("what can be taken back stands first on the page of its address, with the command and the name of its record", async () => {
  const { address, deposits } = await paidTwice();
  // As a federation that never swept it would leave it; the ledger's own word on it is another, which the page says, too.
  const lies = {
    peg_getInfo: (info) => ({ ...info, bitcoinTip: { ...info.bitcoinTip, height: info.bitcoinTip.height + info.parameters.reclaimDelay } }),
    peg_getDeposit: (report) => ({ ...report, deposits: report.deposits.map((one) => ({ ...one, status: "proven", mintedSat: null, sweptBy: null })) }),
  };
  const { page, close } = await open(`deposit/${address}`, { lies });
  const first = page.locator("main .acts").first();
  await first.getByText("2 payments, together 0.05 BTC, can be taken back on Bitcoin").waitFor();
  await first.getByText(`causeway reclaim ${address} --to YOUR_BITCOIN_ADDRESS`).first().waitFor();
  await first.getByText(`${address}.json`).waitFor();
  await first.getByRole("button", { name: "Copy" }).waitFor();
  await says(page, "Not proven:");
  assert.deepEqual(await violations(page), []);
  await close();
  const { txid, vout } = deposits[0];
  const one = await open(`deposit/${txid}:${vout}`, { lies });
  const acts = one.page.locator("main .acts.warn").first();
  await acts.getByText("can be taken back on Bitcoin since block").waitFor();
  await acts.getByRole("button", { name: "Copy" }).waitFor();
  await one.close();
});

test("one's own account is one's own by its link, too", async () => {
  const { page, close } = await open("own", { key: KEYS[0] });
  await connect(page);
  await page.goto(`${page.url().split("#")[0]}#/own/${owner}`);
  await says(page, /for an act of yours|Waits for you/);
  assert.deepEqual(await current(page), ["Yours"]);
  await close();
});
