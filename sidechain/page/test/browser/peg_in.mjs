// Bitcoin in: from the form to the coins, and what is said before money moves.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { line, open, says, text, violations } from "./browser.mjs";
import { KEYS, balance, causeway, dev, genesis, rpc, without } from "./network.mjs";
import { PASSPHRASE, PAYEE, connect, folder, makeAddress, other, openRecord, owner, rateOnScreen, requireAsSaid, saveRecord } from "./owner.mjs";

test("a wallet on another network, and an owner who says no to it, are told; then the network is added", async () => {
  const { page, close } = await open("in", { key: KEYS[0] });
  await page.getByRole("button", { name: "Connect Test wallet" }).click();
  await says(page, /The wallet is on another network \(chain 1\)/);
  const add = page.getByRole("button", { name: "Add and use this network" });
  await page.evaluate(() => (window.walletOrders.refuses = true));
  await add.click();
  await says(page, "You said no in the wallet. Nothing was sent.");
  await page.evaluate(() => (window.walletOrders.refuses = false));
  await add.click();
  await add.waitFor({ state: "detached" });
  const asked = await page.evaluate(() => window.walletOrders.asked);
  assert.ok(asked.indexOf("wallet_switchEthereumChain") < asked.indexOf("wallet_addEthereumChain"), asked.join());
  await close();
});

test("what a deposit lacks is said before money moves", async () => {
  const { page, close } = await open("in");
  const field = (name) => page.getByLabel(name);
  await says(page, "A deposit costs");
  assert.equal(await page.locator("[aria-invalid=true]").count(), 0, "nothing is at fault before something is typed");
  const make = page.getByRole("button", { name: "Make the record" });
  await make.click();
  await says(page, "Whose are the coins to be?");
  assert.equal(await page.evaluate(() => document.activeElement.id), "recipient", "the first field at fault has the focus");
  const { contracts } = await rpc("peg_getInfo");
  const faults = [
    ["Who gets the coins", "0x1234", "This is no account"],
    ["Who gets the coins", `0xF39fd6e51aad88F6F4ce6aB8827279cffFb92266`, "This is no account"],
    ["Who gets the coins", contracts.bridge, "The recipient is the contract Bridge"],
    ["Who gets the coins", contracts.vault, "which takes no coins"],
    ["How much you will pay", "much", "This is no amount"],
    ["How much you will pay", "0.00001", "The smallest deposit is"],
    ["A passphrase for the key", "short", "it needs at least 8"],
  ];
  for (const [name, typed, words] of faults) {
    await field(name).fill(typed);
    await says(page, words);
    await field(name).fill("");
  }
  await field("Who gets the coins").fill(owner);
  await field("How much you will pay").fill("0.2");
  await page.getByText("More choices").click();
  await field("The most that the sweep may cost").fill("100");
  await says(page, "The bridge takes no maximum fee below");
  await field("The most that the sweep may cost").fill("");
  await page.getByRole("button", { name: "Draw one" }).click();
  assert.match(await field("A passphrase for the key").inputValue(), /^(\w{4}-){3}\w{4}$/);
  await close();
});

test("why an account cannot get coins, or fetch them, is said as soon as it is typed", async () => {
  const { contracts } = await rpc("peg_getInfo");
  // What is asked for every two seconds never comes: so it is the typing alone that is answered.
  let isSilent = false;
  const { page, close } = await open("in", { lies: { peg_getLimits: (limits) => (isSilent ? new Promise(() => undefined) : limits) } });
  await says(page, "A deposit costs");
  isSilent = true;
  await page.waitForTimeout(2_500);
  const [recipient, claimant] = [page.getByLabel("Who gets the coins"), page.getByLabel("Who may fetch them")];
  const fault = (field, words) => page.locator(`#${field}-fault`, { hasText: words }).waitFor();
  await recipient.fill(contracts.signingBoard);
  await fault("claimant", "There is a contract at this account, which may refuse coins");
  assert.equal(await claimant.getAttribute("aria-invalid"), "true");
  for (const [typed, words] of [["0x12", "This is no account"], [`0x${"00".repeat(20)}`, "The claimant is the zero address"], [contracts.signingBoard, "which can fetch nothing"], [contracts.vault, "which takes no coins"]]) {
    await claimant.fill(typed);
    await fault("claimant", words);
  }
  // Each is at fault for itself.
  await recipient.fill(contracts.bridge);
  await fault("recipient", "The recipient is the contract Bridge");
  await fault("claimant", "which takes no coins");
  await claimant.fill(other);
  await page.locator("#claimant-fault:empty").waitFor({ state: "attached" });
  await recipient.fill(owner);
  await page.locator("#recipient-fault:empty").waitFor({ state: "attached" });
  assert.equal(await page.locator("[aria-invalid=true]").count(), 0, "what is not filled in yet is no fault before somebody goes on");
  await close();
});

/** The vault transaction that swept what was paid to a record's address. */
const sweepOf = async ({ address }) => (await rpc("peg_getDeposit", address)).deposits[0].sweptBy;

test("an owner brings bitcoin in, and the coins are what the screen added up", async () => {
  const { page, close } = await open("in", { key: KEYS[0] });
  await connect(page);
  await page.getByLabel("How much you will pay").fill("0.2");
  await page.getByLabel("A passphrase for the key").fill(PASSPHRASE);
  const said = { sum: await line(page, "Coins"), rate: await rateOnScreen(page) };
  assert.equal(await line(page, "You pay"), 20_000_000n);
  await page.getByRole("button", { name: "Make the record" }).click();
  const { path, record } = await saveRecord(page, "record.json");
  assert.equal(record.recipient, owner);
  // Another file is not this one.
  const choose = page.getByLabel("Choose the saved file");
  await choose.setInputFiles(genesis);
  await says(page, /This file is no record|This record/);
  const damaged = join(folder, "damaged.json");
  writeFileSync(damaged, readFileSync(path, "utf8").replace(`"maxFeeSat": ${record.maxFeeSat}`, `"maxFeeSat": ${record.maxFeeSat + 1}`));
  await choose.setInputFiles(damaged);
  await says(page, "This record is damaged");
  assert.doesNotMatch(await page.locator("code.address").allInnerTexts().then(String), /bcrt1p/);
  await choose.setInputFiles(path);
  // What was written down opens it, and nothing else.
  await openRecord(page, `${PASSPHRASE}s`);
  await page.getByRole("alert").getByText("passphrase").first().waitFor();
  assert.equal(await page.locator("code.address").count(), 0, "no address is shown");
  await openRecord(page);
  await says(page, "Pay this address");
  await says(page, record.address);
  await page.getByRole("img", { name: /QR code/ }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Open in a Bitcoin wallet" }).getAttribute("href"), `bitcoin:${record.address}?amount=0.2`);
  await says(page, "Nothing yet in the ledger");
  await says(page, /^A payment below 1.400 sat is never taken/);
  const had = await balance(owner);
  await dev("pay", record.address, "0.2 BTC");
  await says(page, /^minted$/);
  assert.equal(await line(page, "Paid to the address"), 20_000_000n);
  const coins = await line(page, "Coins");
  await requireAsSaid(coins, said, await sweepOf(record));
  assert.equal(await balance(owner), had + coins);
  await says(page, /Proven in this browser, by block/);
  assert.equal(await page.locator(".steps li.done").count(), 4, "all steps are done");
  await close();
});

test("a reload in the middle of a deposit finds it again, with the reason why it waits; so does another browser, by the link", async () => {
  const { page, close } = await open("in", { key: KEYS[0] });
  await connect(page);
  const { record, said } = await makeAddress(page, { amount: "0.1", name: "second.json" });
  await page.goto(`${new URL(page.url()).origin}/`);
  await page.reload();
  await page.getByRole("link", { name: "Bring bitcoin in" }).click();
  await says(page, "Begun in this browser");
  await page.locator(`main a[href="#/in/${record.address}"]`).click();
  await says(page, "Pay this address");
  await says(page, record.address);
  // Three of four sign together: with two away, nothing is swept.
  await without(["relayer-2", "relayer-3"], async () => {
    await dev("pay", record.address, "0.1 BTC");
    await says(page, "proven, to be swept");
    await page.reload();
    await says(page, "proven, to be swept");
    await says(page, "It waits");
    await says(page, /^For /);
    // Those who are away are named as soon as others have approved what they have not.
    for (const away of ["2 (operator-2)", "3 (operator-3)"]) await page.locator("main .notice li", { hasText: away }).first().waitFor();
    console.log(`it waits at first: ${(await page.locator("main .notice li").allInnerTexts()).join(" ")}`);
    await page.locator("main .notice li", { hasText: /^For member 3 \(operator-3\): has not approved proposal/ }).waitFor();
    console.log(`it waits: ${(await page.locator("main .notice li").allInnerTexts()).join(" ")}`);
    const link = await page.getByLabel("Link to this page").inputValue();
    const others = await open(link.split("#/")[1]);
    await says(others.page, "proven, to be swept");
    assert.equal(await others.page.locator(".steps li.done").count(), 2, "paid and proven");
    await others.close();
  });
  await says(page, /^minted$/);
  await requireAsSaid(await line(page, "Coins"), said, await sweepOf(record));
  await close();
});

test("coins that a contract refuses are claimed by the account that the deposit named", async () => {
  const { page, close } = await open("in", { key: KEYS[1] });
  await connect(page);
  const { contracts } = await rpc("peg_getInfo");
  await page.getByLabel("Who gets the coins").fill(contracts.signingBoard);
  await page.getByLabel("How much you will pay").fill("0.03");
  await says(page, "There is a contract at this account, which may refuse coins");
  await page.getByLabel("Who may fetch them").fill(other);
  const { record } = await makeAddress(page, { amount: "0.03", name: "refused.json" });
  await dev("pay", record.address, "0.03 BTC");
  await says(page, "Coins minted, and refused by their recipient");
  assert.deepEqual(await violations(page), []);
  const coins = await line(page, "Coins");
  const had = await balance(other);
  // Money that needs an act stands first in what is its owner's.
  await page.getByRole("link", { name: "Yours" }).click();
  await says(page, "Waits for you");
  await page.getByRole("button", { name: "Claim them" }).click();
  await says(page, "Done: the coins are in your account.");
  const has = await balance(other);
  // Gas is less than some satoshis.
  assert.ok(has > had + coins - 1_000n && has <= had + coins, `${had} sat, and ${coins} sat of the deposit, are ${has} sat`);
  // The card goes as soon as the claim is in a block, and what was done stays told until the page is left.
  await says(page, "No money waits for an act of yours");
  assert.equal(await page.getByRole("button", { name: "Claim them" }).count(), 0);
  await says(page, "Done: the coins are in your account.");
  await page.getByRole("link", { name: "Overview", exact: true }).click();
  await page.getByRole("link", { name: "Yours" }).click();
  await says(page, "No money waits for an act of yours");
  assert.doesNotMatch(await text(page), /Done:/);
  await close();
});

test("the record that the page saved takes an unswept deposit back, by the command line alone", async () => {
  const { address } = JSON.parse(readFileSync(join(folder, "record.json"), "utf8"));
  const home = join(folder, "home");
  mkdirSync(join(home, "deposits"), { recursive: true });
  copyFileSync(join(folder, "record.json"), join(home, "deposits", `${address}.json`));
  // Too small for the bridge, so that nobody sweeps it.
  await dev("pay", address, "1000 sat");
  await dev("mine", "1008");
  const { bitcoin, bitcoinCookie } = JSON.parse(await dev("status", "--json"));
  const secret = join(folder, "passphrase");
  writeFileSync(secret, `${PASSPHRASE}\n`, { mode: 0o600 });
  const words = [address, "--to", PAYEE, "--home", home, "--bitcoin", bitcoin, "--bitcoin-cookie", bitcoinCookie, "--fee-rate", "1", "--force", "--yes", "--passphrase-file", secret];
  const said = await causeway("reclaim", ...words);
  assert.match(said, /[0-9a-f]{64}/, said);
});
