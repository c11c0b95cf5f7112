// What an owner does in the page, step by step; each checks what the screen promises on the way.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { privateKeyToAccount } from "viem/accounts";
import { line, says, text } from "./browser.mjs";
import { KEYS, rpc } from "./network.mjs";

export const PASSPHRASE = "lunar pocket anvil mustard tram";
/** Files of these tests. */
export const folder = mkdtempSync(join(tmpdir(), "causeway-page-"));
export const [owner, other] = KEYS.map((key) => privateKeyToAccount(key).address.toLowerCase());
/** Bitcoin addresses that nobody waits at: BIP173's example and BIP350's, on regtest. */
export const PAYEE = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
export const OTHER_PAYEE = "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6";

export async function connect(page) {
  await page.getByRole("button", { name: "Connect Test wallet" }).click();
  const add = page.getByRole("button", { name: "Add and use this network" });
  await add.click();
  await add.waitFor({ state: "detached" });
}

/** Saves the record that the page made, under a name, and has the page read it back. */
export async function saveRecord(page, name) {
  await says(page, "Save the record before you pay");
  assert.doesNotMatch(await text(page), /bcrt1p\w{58}/, "no address before the record is saved");
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: /^Save / }).click();
  const path = join(folder, name);
  await (await saving).saveAs(path);
  return { path, record: JSON.parse(readFileSync(path, "utf8")) };
}

/** Types the passphrase of the record that was read back. */
export async function openRecord(page, passphrase = PASSPHRASE) {
  await says(page, "Open the record once");
  assert.doesNotMatch(await text(page), /bcrt1p\w{58}/, "no address before the record was opened");
  await page.getByLabel("The passphrase, once more").fill(passphrase);
  await page.getByRole("button", { name: "Open the record" }).click();
}

/** The rate that the sum on the screen is of, in sat/vB. */
export const rateOnScreen = async (page) => Number(/at ([\d.]+) sat\/vB/.exec(await page.locator("table.sum").first().innerText())[1]);

/** What came is to the satoshi what the screen said before, unless the vault transaction pays another rate than that of then. */
export async function requireAsSaid(came, { sum, rate }, number) {
  const { content } = await rpc("peg_getVaultTransaction", number);
  console.log(`${came} sat came, ${sum} sat were said, at ${content.rate / 1000} and ${rate} sat/vB`);
  if (content.rate === Math.round(rate * 1000)) assert.equal(came, sum);
  else assert.equal(came < sum, content.rate / 1000 > rate, "a higher rate costs more");
}

/** From the form to the address, with what stands in the fields already. */
export async function makeAddress(page, { amount, name, passphrase = PASSPHRASE }) {
  await page.getByLabel("How much you will pay").fill(amount);
  await page.getByLabel("A passphrase for the key").fill(passphrase);
  const said = { sum: await line(page, "Coins"), rate: await rateOnScreen(page) };
  await page.getByRole("button", { name: "Make the record" }).click();
  const { path, record } = await saveRecord(page, name);
  await page.getByLabel("Choose the saved file").setInputFiles(path);
  await openRecord(page, passphrase);
  await says(page, "Pay this address");
  await says(page, record.address);
  return { said, path, record };
}

/** From the form of a withdrawal to what will be signed; what the screen says that arrives. */
export async function order(page, { to = PAYEE, amount }) {
  await page.getByLabel("Bitcoin address that is paid").fill(to);
  await page.getByLabel("Amount, in BTC").fill(amount);
  const said = { sum: await line(page, "Arrives on Bitcoin"), rate: await rateOnScreen(page) };
  await page.getByRole("button", { name: "Look at what will be signed" }).click();
  await says(page, "What you are about to sign");
  await says(page, to);
  return said;
}

/** Signs what is shown; the number of the withdrawal whose page opens. */
export async function sign(page) {
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  return opened(page);
}

export async function opened(page) {
  const heading = page.getByRole("heading", { name: /^Withdrawal \d+$/ });
  await heading.waitFor();
  return Number((await heading.innerText()).replace(/\D/g, ""));
}

/** How often the wallet was asked to sign. */
export const timesAsked = (page) => page.evaluate(() => window.walletOrders.asked.filter((method) => method === "eth_sendTransaction").length);

export const refuse = (page, refuses) => page.evaluate((no) => (window.walletOrders.refuses = no), refuses);
