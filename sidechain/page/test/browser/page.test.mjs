// The page in a real browser, over a real network: what owners and passers-by do with it, and what it says when something is not as it should be.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { privateKeyToAccount } from "viem/accounts";
import { launch, open, says, text, violations } from "./browser.mjs";
import { KEYS, balance, causeway, dev, genesis, rpc, url } from "./network.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

const [owner] = KEYS.map((key) => privateKeyToAccount(key).address.toLowerCase());
/** A Bitcoin address that nobody waits at (BIP173's example, on regtest). */
const PAYEE = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const PASSPHRASE = "lunar pocket anvil mustard tram";
const folder = mkdtempSync(join(tmpdir(), "causeway-page-"));

/** Satoshis behind a line of a sum on the screen. */
async function line(page, what) {
  const title = await page.locator("table.sum tr", { hasText: what }).first().locator("td").getAttribute("title");
  return BigInt(title.replace(/[^\d-]/g, ""));
}

/** Milliseconds of the quickest of some tries: how fast the page is, and not what else the machine does. */
async function quickest(measure) {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 4 && least >= 1_000; tries++) least = Math.min(least, await measure());
  return Math.round(least);
}

async function connect(page) {
  await page.getByRole("button", { name: "Connect Test wallet" }).click();
  const add = page.getByRole("button", { name: "Add and use this network" });
  await add.click();
  await add.waitFor({ state: "detached" });
}

test("the first screen answers within a second whether all is there, whether all works, and how long it takes", async () => {
  const took = await quickest(async () => {
    const began = performance.now();
    const { page, close } = await open(browser);
    await says(page, "Yes, every satoshi");
    await says(page, "Does everything work?");
    await says(page, /^In: /);
    const took = performance.now() - began;
    await close();
    return took;
  });
  console.log(`the first screen took ${took} ms, the browser's new profile included`);
  assert.ok(took < 1_000, `${took} ms`);
});

test("an owner brings bitcoin in, and the coins are what the screen added up", async () => {
  const { page, close } = await open(browser, "in", { key: KEYS[0] });
  await connect(page);
  await page.getByLabel("How much you will pay").fill("0.2");
  await page.getByLabel("A passphrase for the key").fill(PASSPHRASE);
  const coins = await line(page, "Coins");
  assert.equal(await line(page, "You pay"), 20_000_000n);
  await page.getByRole("button", { name: "Make the record" }).click();
  await says(page, "Save the record before you pay");
  assert.doesNotMatch(await text(page), /bcrt1p\w{58}/, "no address before the record is saved");
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: /^Save / }).click();
  const record = join(folder, "record.json");
  await (await saving).saveAs(record);
  await page.getByLabel("Choose the saved file").setInputFiles(genesis);
  await says(page, /record/);
  await page.getByLabel("Choose the saved file").setInputFiles(record);
  await says(page, "Pay this address");
  const { address, recipient } = JSON.parse(readFileSync(record, "utf8"));
  assert.equal(recipient, owner);
  assert.match(await text(page), new RegExp(address));
  const had = await balance(owner);
  await dev("pay", address, "0.2 BTC");
  await says(page, /^minted$/);
  assert.equal(await line(page, "Coins"), coins);
  assert.equal(await balance(owner), had + coins);
  await page.reload();
  await says(page, /^minted$/);
  await close();
});

test("an owner takes bitcoin out: what will be signed is shown, and what arrives adds up", async () => {
  const { page, close } = await open(browser, "out", { key: KEYS[0] });
  await connect(page);
  await page.getByLabel("Bitcoin address that is paid").fill(PAYEE.replace(/.$/, "q"));
  await says(page, /checksum/i);
  await page.getByLabel("Bitcoin address that is paid").fill("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq");
  await says(page, /mainnet/);
  await page.getByLabel("Bitcoin address that is paid").fill(PAYEE);
  await page.getByLabel("Amount, in BTC").fill("100000");
  await says(page, "less than that");
  await page.getByLabel("Amount, in BTC").fill("0.05");
  const arrives = await line(page, "Arrives on Bitcoin");
  await page.getByRole("button", { name: "Look at what will be signed" }).click();
  await says(page, "What you are about to sign");
  await says(page, PAYEE);
  await page.evaluate(() => (window.walletOrders.refuses = true));
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  await says(page, "You said no in the wallet. Nothing was sent.");
  await page.evaluate(() => (window.walletOrders.refuses = false));
  await page.getByRole("button", { name: "Look at what will be signed" }).click();
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  await page.getByRole("heading", { name: /^Withdrawal \d+$/ }).waitFor();
  await says(page, /^paid$/);
  assert.equal(await line(page, "Received on Bitcoin"), arrives);
  const asked = await page.evaluate(() => window.walletOrders.asked.filter((method) => method === "eth_sendTransaction").length);
  assert.equal(asked, 2, "one that was refused, and one");
  await close();
});

test("a wallet that goes to another network is given nothing to sign, and what that means has a page", async () => {
  const { page, close } = await open(browser, "out", { key: KEYS[1] });
  await connect(page);
  await page.getByLabel("Bitcoin address that is paid").fill(PAYEE);
  await page.getByLabel("Amount, in BTC").fill("0.01");
  await page.getByRole("button", { name: "Look at what will be signed" }).click();
  await says(page, "What you are about to sign");
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
  assert.ok(!(await page.evaluate(() => window.walletOrders.asked)).includes("eth_sendTransaction"));
  await page.getByRole("link", { name: "What that means" }).click();
  await page.waitForURL(/#\/error\/wallet4902$/);
  for (const words of ["What happened", "Your money", "What to do"]) await says(page, words);
  await close();
});

test("a withdrawal that is too poor waits, is raised, and another is cancelled", async () => {
  const { page, close } = await open(browser, "out", { key: KEYS[1] });
  await connect(page);
  // Three of four sign together: with two away, nothing is bound.
  for (const name of ["relayer-2", "relayer-3"]) await dev("kill", name);
  await page.getByLabel("Bitcoin address that is paid").fill(PAYEE);
  await page.getByLabel("Amount, in BTC").fill("0.03");
  await page.getByRole("button", { name: "Look at what will be signed" }).click();
  await page.getByRole("button", { name: "Sign in the wallet" }).click();
  await page.getByRole("heading", { name: /^Withdrawal \d+$/ }).waitFor();
  await says(page, "queued");
  await page.getByLabel("New maximum, in sat").fill("9000");
  await page.getByRole("button", { name: "Raise the maximum" }).click();
  await says(page, "it may cost more now");
  const before = await balance(privateKeyToAccount(KEYS[1]).address);
  await page.getByRole("button", { name: "Cancel it" }).click();
  await says(page, "the coins are back");
  await says(page, /cancelled/);
  const after = await balance(privateKeyToAccount(KEYS[1]).address);
  assert.ok(after > before + 2_999_000n, `${before} sat, then ${after} sat`);
  for (const name of ["relayer-2", "relayer-3"]) await dev("start", name);
  await close();
});

test("a node that goes away is told, what was shown stays, and it goes on when the node is back", async () => {
  const { page, close } = await open(browser);
  await says(page, "Yes, every satoshi");
  await dev("kill", "validator-1");
  await page.getByText("The node does not answer").first().waitFor();
  await says(page, "Yes, every satoshi");
  await dev("start", "validator-1");
  await page.getByText("The node does not answer").first().waitFor({ state: "detached" });
  await close();
});

test("whatever somebody has finds the request, from a browser that was never here", async () => {
  const { deposits } = await rpc("peg_getDeposits", {}, null, 1);
  const { withdrawals } = await rpc("peg_getWithdrawals", {}, null, 100);
  const [deposit] = deposits;
  const paid = withdrawals.find(({ status }) => status === "paid");
  const heading = { deposit: /^What came of it/, withdrawal: new RegExp(`^Withdrawal ${paid.id}$`) };
  const wanted = [
    [deposit.address, heading.deposit],
    [deposit.address.toUpperCase(), heading.deposit],
    [`bitcoin:${deposit.address}?amount=0.1`, heading.deposit],
    [`${deposit.txid}:${deposit.vout}`, heading.deposit],
    [paid.versions.at(-1).txid, /./],
    [owner, /./],
    [PAYEE, /./],
    [paid.script, /./],
    [String(paid.id), /./],
  ];
  for (const [what, title] of wanted) {
    const took = await quickest(async () => {
      const { page, close } = await open(browser);
      await says(page, "Is everything there?");
      const began = performance.now();
      await page.getByRole("searchbox").fill(what);
      await page.getByRole("button", { name: "Find" }).click();
      await page.locator("main h1", { hasText: "Overview" }).waitFor({ state: "detached" });
      await says(page, title);
      await page.locator("main .waiting").first().waitFor({ state: "detached" });
      const took = performance.now() - began;
      assert.doesNotMatch(await text(page), /Nothing is found|cannot be shown/, what);
      await close();
      return took;
    });
    console.log(`${what} is found in ${took} ms`);
    assert.ok(took < 1_000, `${what}: ${took} ms`);
  }
});

test("the evidence is checked in the browser, and a node that lies is caught", async () => {
  const honest = await open(browser, "evidence");
  await says(honest.page, "Every satoshi is there");
  assert.equal(await honest.page.locator(".steps li.done").count(), 4);
  await honest.close();
  const lies = {
    peg_getFinality: (answer) => ({ ...answer, certificate: answer.certificate.replace(/..$/, (byte) => (byte === "00" ? "01" : "00")) }),
    eth_getProof: (answer) => ({ ...answer, balance: "0x1" }),
    peg_getVault: (answer) => ({ ...answer, outputs: answer.outputs.slice(1) }),
    peg_getVaultTransaction: (answer) => ({ ...answer, transaction: answer.transaction.replace("5120", "5121") }),
  };
  for (const [method, lie] of Object.entries(lies)) {
    const { page, close } = await open(browser);
    await page.route(`${url}/`, async (route) => {
      if (route.request().method() !== "POST") return route.continue();
      const asked = route.request().postDataJSON();
      const response = await route.fetch();
      // The view may be left meanwhile.
      const answers = await response.json().catch(() => []);
      const changed = answers.map((answer) => (asked.find(({ id }) => id === answer.id).method === method ? { ...answer, result: lie(answer.result) } : answer));
      return route.fulfill({ response, json: changed });
    });
    await page.goto(`${url}/#/evidence`);
    await says(page, "Not proven");
    assert.doesNotMatch(await text(page), /Every satoshi is there/, method);
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await close();
  }
});

test("everybody can use every view: by eye, by ear, by keyboard, on a phone, by day and night", async () => {
  const { deposits } = await rpc("peg_getDeposits", {}, null, 1);
  const head = await rpc("eth_getBlockByNumber", "latest", false);
  const views = ["", "in", "out", "own", `own/${owner}`, "requests", "requests/deposits", "blocks", `block/${Number(head.number)}`, "federation", "evidence", `deposit/${deposits[0].address}`, "withdrawal/1", "vault/1", `account/${owner}`, "logs", "search/nothing", "nowhere", "error/ScriptNotStandard"];
  for (const [scheme, width] of [["light", 1200], ["dark", 390]]) {
    for (const view of views) {
      const { page, close } = await open(browser, view, { scheme, width, key: KEYS[0] });
      await page.locator("main h1").first().waitFor({ state: "attached" });
      await page.locator("main .waiting").first().waitFor({ state: "detached" });
      assert.deepEqual(await violations(page), [], `${view} ${scheme}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `${view} is ${wide} pixels wider than a screen of ${width}`);
      await close();
    }
  }
  const { page, close } = await open(browser);
  await says(page, "Is everything there?");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await page.getByRole("searchbox").focus();
  await page.keyboard.type("1");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/(search|withdrawal|vault|block)/);
  await page.waitForFunction(() => document.activeElement.id === "content");
  await close();
});

test("what the page shows can be pictured, by day and night", async () => {
  const pictures = process.env.PICTURES ?? folder;
  for (const scheme of ["light", "dark"]) {
    for (const [name, view] of [["overview", ""], ["evidence", "evidence"], ["withdrawal", "withdrawal/1"]]) {
      const { page, close } = await open(browser, view, { scheme, width: 1100 });
      await page.locator("main .waiting").first().waitFor({ state: "detached" });
      await page.waitForTimeout(800);
      const picture = await page.screenshot({ path: join(pictures, `${name}-${scheme}.png`), clip: { x: 0, y: 0, width: 1100, height: 760 } });
      assert.ok(picture.length > 10_000, `${name} is empty`);
      await close();
    }
  }
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
  const words = [address, "--to", PAYEE, "--home", home, "--bitcoin", bitcoin, "--bitcoin-cookie", bitcoinCookie, "--fee-rate", "1", "--force", "--passphrase-file", secret];
  const said = await causeway("reclaim", ...words);
  assert.match(said, /[0-9a-f]{64}/, said);
});
