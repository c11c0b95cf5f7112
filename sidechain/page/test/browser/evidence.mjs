// The evidence is checked in the browser: an honest node is proven right, and one that lies is caught in words.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { drawnAfter, line, open, says, text } from "./browser.mjs";
import { KEYS, causeway, dev, genesis, rpc, url } from "./network.mjs";
import { OTHER_PAYEE, PASSPHRASE, connect, folder, openRecord, order, owner } from "./owner.mjs";
import { paidTwice, requests } from "./requests.mjs";

/** Another last digit. */
const turned = (hex) => hex.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"));

test("the reserves are proven in the browser, step by step", async () => {
  const { page, close } = await open("evidence");
  await says(page, "Every satoshi is there");
  assert.equal(await page.locator(".steps li.done").count(), 4);
  console.log((await page.locator(".steps small").allInnerTexts()).join("; "));
  assert.ok(await page.getByText((await rpc("peg_getInfo")).networkId).first().isVisible());
  await close();
});

test("a genesis file from disk is what all is checked by: the same proves it, another refuses it", async () => {
  const { page, close } = await open("evidence");
  await says(page, "Every satoshi is there");
  const choose = page.getByLabel("Check by a genesis file of yours");
  await choose.setInputFiles(genesis);
  await says(page, "Your file is the one that this node serves.");
  await says(page, "Every satoshi is there");
  const file = JSON.parse(readFileSync(genesis, "utf8"));
  file.chainId += 1;
  const path = join(folder, "other-genesis.json");
  writeFileSync(path, JSON.stringify(file));
  await choose.setInputFiles(path);
  await says(page, "This node is of another network");
  await says(page, "Not proven.");
  await choose.setInputFiles({ name: "genesis.json", mimeType: "application/json", buffer: Buffer.from("{}") });
  await says(page, "this is no genesis file");
  await close();
});

test("a receipt that is dropped on the page is checked, and one that was changed shows nothing", async () => {
  const { deposit, withdrawal } = await requests();
  const { bitcoin, bitcoinCookie } = JSON.parse(await dev("status", "--json"));
  const { page, close } = await open("evidence");
  const choose = page.getByLabel("Receipt file");
  for (const [what, words] of [[`${deposit.txid}:${deposit.vout}`, "A deposit"], [String(withdrawal.id), "A withdrawal that is paid"]]) {
    const path = join(folder, `receipt-${what.slice(0, 8)}.json`);
    await causeway("receipt", what, path, "--genesis", genesis, "--rpc", url, "--bitcoin", bitcoin, "--bitcoin-cookie", bitcoinCookie);
    await choose.setInputFiles(path);
    await says(page, words);
    await says(page, /signed by \d+ of \d+ validators/);
    const changed = join(folder, `changed-${what.slice(0, 8)}.json`);
    // One digit of the longest text in it: a proof.
    const receipt = readFileSync(path, "utf8");
    const [longest] = receipt.match(/[0-9a-f]{64,}/g).sort((a, b) => b.length - a.length);
    writeFileSync(changed, receipt.replace(longest, turned(longest)));
    await choose.setInputFiles(changed);
    await says(page, "It shows nothing.");
    // Another network's by its name: the first block says which one this is.
    const named = join(folder, `named-${what.slice(0, 8)}.json`);
    writeFileSync(named, receipt.replace(/("genesis": ?"0x)(.)/, (_, begin, digit) => `${begin}${digit === "1" ? "2" : "1"}`));
    await choose.setInputFiles(named);
    await says(page, /it names the genesis block 0x/);
    console.log(await page.locator("main .notice.bad").last().innerText());
  }
  await close();
});

/** What a node may lie about when its reserves are proven. */
const LIES = {
  "the certificate's signature": { peg_getFinality: (answer) => ({ ...answer, certificate: turned(answer.certificate) }) },
  "who signed": { peg_getFinality: (answer) => ({ ...answer, certificate: answer.certificate.replace(/^(0x)(..)/, (_, begin, byte) => `${begin}${byte === "01" ? "02" : "01"}`) }) },
  "the header": { peg_getFinality: (answer) => ({ ...answer, header: turned(answer.header) }) },
  "a balance": { eth_getProof: (answer) => ({ ...answer, balance: "0x1" }) },
  "a book": { eth_getProof: (answer) => ({ ...answer, storageProof: answer.storageProof.map((one) => ({ ...one, value: one.value === "0x0" ? "0x1" : "0x0" })) }) },
  "a proof": { eth_getProof: (answer) => ({ ...answer, accountProof: answer.accountProof.map(turned) }) },
  "a proof, left out": { eth_getProof: (answer) => ({ ...answer, accountProof: answer.accountProof.slice(1) }) },
  "a storage proof": { eth_getProof: (answer) => ({ ...answer, storageProof: answer.storageProof.map((one) => ({ ...one, proof: one.proof.map(turned) })) }) },
  "an output of the vault, left out": { peg_getVault: (answer) => ({ ...answer, outputs: answer.outputs.slice(1) }) },
  "the bytes of a Bitcoin transaction": { peg_getVaultTransaction: (answer) => ({ ...answer, transaction: turned(answer.transaction) }) },
  "everything": { peg_getFinality: () => ({}), eth_getProof: () => null, peg_getVault: () => ({ outputs: [] }) },
};

for (const [what, lies] of Object.entries(LIES)) {
  test(`a node that lies about ${what} is caught by the evidence`, async () => {
    const { page, close } = await open("evidence", { lies });
    await says(page, "Not proven.");
    console.log(await page.locator("main .notice.bad").first().innerText());
    assert.doesNotMatch(await text(page), /Every satoshi is there/);
    await close();
  });
}

test("a node whose proofs fail is not believed on the first screen", async () => {
  const { page, close } = await open("", { lies: LIES["a balance"] });
  await says(page, "Not proven");
  await close();
});

test("a node that tells other books than it can prove is told so on the first screen, number by number", async () => {
  const { books } = await rpc("peg_getInfo");
  const peg_getInfo = (info) => ({ ...info, books: { ...info.books, vaultSat: info.books.vaultSat + 700_000_000, reserveSat: info.books.reserveSat + 1 } });
  const { page, close } = await open("", { lies: { peg_getInfo } });
  await says(page, "Not as the node says");
  console.log((await page.locator(".card.bad").innerText()).replaceAll("\n", " "));
  const wrong = page.locator(".card.bad li");
  assert.equal(await wrong.count(), 2);
  await wrong.filter({ hasText: "In the vault" }).waitFor();
  await wrong.filter({ hasText: "The bridge's reserve" }).waitFor();
  // What is drawn is what is proven.
  assert.ok((await line(page, "In the vault")) < BigInt(books.vaultSat) + 600_000_000n);
  assert.doesNotMatch(await text(page), /Yes, every satoshi/);
  await close();
});

test("what is not proven yet, or cannot be, is marked as the node's word on the first screen", async () => {
  // It never answers when it is asked for a certificate: so nothing is proven, and nothing disproven.
  const silent = await open("", { awaited: ["Yes, says the node"], lies: { peg_getFinality: () => new Promise(() => undefined) } });
  await drawnAfter(silent.page);
  await says(silent.page, "By the node's word; being proven");
  assert.doesNotMatch(await text(silent.page), /✓|Yes, every satoshi/);
  await silent.close();
  const lying = await open("", { lies: LIES["a storage proof"] });
  await says(lying.page, "By the node's word, which it cannot prove");
  await lying.close();
});

test("a node that lies about a request is caught on the page of the request", async () => {
  const { deposit, withdrawal: { id } } = await requests();
  const ofDeposit = (change) => ({ peg_getDeposit: (answer) => ({ ...answer, deposits: answer.deposits.map((one) => ({ ...one, ...change(one) })) }) });
  const cases = [
    [`withdrawal/${id}`, { peg_getWithdrawal: (one) => ({ ...one, amountSat: one.amountSat + 1 }) }],
    [`withdrawal/${id}`, { peg_getWithdrawal: (one) => ({ ...one, script: turned(one.script) }) }],
    [`withdrawal/${id}`, { peg_getWithdrawal: (one) => ({ ...one, versions: one.versions.map((version) => ({ ...version, chargeSat: version.chargeSat - 1 })) }) }],
    [`withdrawal/${id}`, { peg_getWithdrawal: (one) => ({ ...one, owner: turned(one.owner) }) }],
    [`deposit/${deposit.txid}:${deposit.vout}`, ofDeposit((one) => ({ mintedSat: one.mintedSat + 1 }))],
    [`deposit/${deposit.txid}:${deposit.vout}`, ofDeposit((one) => ({ recipient: turned(one.recipient) }))],
    [`deposit/${deposit.txid}:${deposit.vout}`, ofDeposit((one) => ({ height: one.height - 1 }))],
    // Of a cancelled or queued one it would take the button away.
    [`withdrawal/${id}`, { peg_getWithdrawal: (one) => ({ ...one, status: "tied", paidBy: null }) }],
    // What there is, in the place of what was asked for.
    [`withdrawal/${id}`, { peg_getWithdrawal: (one) => ({ ...one, id: id + 1 }) }, `withdrawal ${id} was asked for, and the node answers withdrawal ${id + 1}`],
    [`deposit/${"ab".repeat(32)}:0`, { peg_getDeposit: () => rpc("peg_getDeposit", `${deposit.txid}:${deposit.vout}`) }, `the node answers ${deposit.txid}:${deposit.vout}`],
    [`withdrawal/${id}`, { peg_getWithdrawal: () => null }],
    [`deposit/${deposit.txid}:${deposit.vout}`, { peg_getDeposit: (answer) => ({ ...answer, deposits: [] }) }],
    [`deposit/${OTHER_PAYEE}`, { peg_getDeposit: () => rpc("peg_getDeposit", `${deposit.txid}:${deposit.vout}`) }, "it paid another address than this"],
  ];
  const caught = async ([view, lies, words = "the state says something else than the node"]) => {
    const { page, close } = await open(view, { lies });
    await says(page, "Not proven:");
    await says(page, words);
    await close();
  };
  // It may be a block that lies between, so each takes some seconds.
  await Promise.all(cases.map(caught));
});

test("each of several payments to one address has its proof, also that it paid this address", async () => {
  const { address } = await paidTwice();
  const { page, close } = await open(`deposit/${address}`);
  await says(page, "Deposit address with 2 payments");
  await page.getByText(/Proven in this browser, by block .* the address that it paid and where it stands/).nth(1).waitFor();
  await close();
  // A list is proven together.
  const lies = { peg_getDeposit: (answer) => ({ ...answer, deposits: [...answer.deposits, ...answer.deposits] }) };
  const long = await open(`deposit/${address}`, { lies });
  await says(long.page, /of these 4 payments whose they are/);
  await says(long.page, /that they paid this address/);
  await long.close();
});

test("blocks, accounts, vault transactions and the federation's keys are proven, and a lie about one is told", async () => {
  const { deposit: { sweptBy } } = await requests();
  const { contracts, head } = await rpc("peg_getInfo");
  const other = turned;
  const views = [
    [`block/${head.number}`, /proven in this browser: \d+ of \d+ validators/, { eth_getBlockByNumber: (one) => ({ ...one, stateRoot: other(one.stateRoot) }) }, "the validators signed another block"],
    [`block/${head.number}`, /proven in this browser/, { eth_getBlockByNumber: () => rpc("eth_getBlockByNumber", "0x1", true) }, `block ${head.number} was asked for, and the node answers block 1`],
    [`account/${owner}`, /Proven in this browser, by block .* what it can claim/, { eth_getProof: (one) => ({ ...one, balance: "0x1" }) }, "Not proven:"],
    [`own/${owner}`, /That nothing can be claimed is proven|Waits for its owner/, { eth_getProof: (one) => ({ ...one, storageProof: one.storageProof.map((slot) => ({ ...slot, value: "0x7" })) }) }, "Not proven:"],
    [`vault/${sweptBy}`, /Proven in this browser, by block .* what it spends and pays/, { peg_getVaultTransaction: (one) => ({ ...one, content: { ...one.content, rate: one.content.rate + 1 } }) }, "the state says something else than the node"],
    [`vault/${sweptBy}`, /Proven in this browser/, { peg_getVaultTransaction: (one) => ({ ...one, number: one.number + 1 }) }, "was asked for, and the node answers"],
    ["federation", /Both keys are proven in this browser/, { peg_getInfo: (one) => ({ ...one, vaultKey: other(one.vaultKey) }) }, "the keys in the state are others than the node names"],
    [`account/${contracts.signingBoard}`, /Proven in this browser/, { eth_getProof: () => null }, "Not proven:"],
  ];
  const look = async ([view, words, lies, caught]) => {
    const honest = await open(view);
    await says(honest.page, words);
    await honest.close();
    const lying = await open(view, { lies });
    await says(lying.page, caught);
    await lying.page.context().close();
  };
  await Promise.all(views.map(look));
});

test("an old block says what was, and is said to be old on the page of a request", async () => {
  const { withdrawal: { id } } = await requests();
  const { page, close } = await open();
  await says(page, "Is everything there?");
  await page.clock.setSystemTime(Date.now() + 400_000);
  await page.goto(`${url}/#/withdrawal/${id}`);
  await says(page, /That block is \d+ minutes old: what was so then may not be so now\./);
  await close();
});

test("a node that lies about the federation's key, or about the address, gets no bitcoin", async () => {
  const lies = [
    [{ eth_getProof: LIES["a book"].eth_getProof }, /./],
    [{ peg_registerDeposit: (answer) => ({ ...answer, address: OTHER_PAYEE }) }, "it is not to be trusted"],
  ];
  for (const [at, [lie, words]] of lies.entries()) {
    const { page, close } = await open("in", { key: KEYS[0], lies: lie });
    await connect(page);
    await page.getByLabel("How much you will pay").fill("0.2");
    await page.getByLabel("A passphrase for the key").fill(PASSPHRASE);
    await page.getByRole("button", { name: "Make the record" }).click();
    if (at === 1) {
      const saving = page.waitForEvent("download");
      await page.getByRole("button", { name: /^Save / }).click();
      const path = join(folder, "lied.json");
      await (await saving).saveAs(path);
      await page.getByLabel("Choose the saved file").setInputFiles(path);
      await openRecord(page);
    }
    await page.getByRole("alert").getByText(words).first().waitFor();
    console.log(await page.getByRole("alert").first().innerText());
    assert.equal(await page.locator("code.address").count(), 0, "no address is shown");
    await close();
  }
});

test("a node that names another chain, network, rule or contract than its genesis file gets nothing signed", async () => {
  const { parameters, members } = await rpc("peg_getInfo");
  const lies = [
    { parameters: { ...parameters, pegOutFeeSat: 1 } },
    { parameters: { ...parameters, reclaimDelay: 1 } },
    { chainId: 1 },
    { networkId: `0x${"11".repeat(32)}` },
    { bitcoinNetwork: "mainnet" },
    { threshold: 1 },
    { members: members.map((one) => (one.index === 2 ? { ...one, name: "somebody" } : one)) },
    { members: members.slice(1) },
  ];
  for (const named of lies) {
    const { page, close } = await open("out", { key: KEYS[0], lies: { peg_getInfo: (info) => ({ ...info, ...named }) } });
    await says(page, "This cannot be shown");
    console.log(await page.locator("main q").innerText());
    assert.equal(await page.getByRole("button", { name: /wallet/i }).count(), 0);
    await close();
  }
  const elsewhere = "0x1111111111111111111111111111111111111111";
  const { page, close } = await open("out", { key: KEYS[0], lies: { peg_getInfo: (info) => ({ ...info, contracts: { ...info.contracts, bridge: elsewhere } }) } });
  await connect(page);
  await order(page, { amount: "0.01" });
  assert.doesNotMatch(await text(page), new RegExp(elsewhere));
  await close();
});

test("a node that quotes another price than its rate makes is shown no price of, wherever one is read", async () => {
  const lies = { peg_quote: (quote) => ({ ...quote, pegOut: { ...quote.pegOut, chargeSat: quote.pegOut.chargeSat - 1 } }) };
  for (const view of ["", "in", "out", `own/${owner}`, "federation", "withdrawal/1"]) {
    const { page, close } = await open(view, { lies });
    await says(page, "This cannot be shown");
    assert.match(await page.locator("main q").innerText(), /which no rate makes by the rules of the peg/, view);
    await close();
  }
});

test("a node that answers nonsense breaks no view", async () => {
  const nothing = Object.fromEntries(["peg_getDeposits", "peg_getWithdrawals", "peg_getVault", "peg_getVaultTransactions", "peg_getLimits", "peg_quote", "eth_getLogs", "eth_getBlockByNumber", "peg_getDeposit", "peg_getWithdrawal"].map((method) => [method, () => null]));
  for (const view of ["", "in", "out", `own/${owner}`, "requests", "blocks", "federation", "evidence", "withdrawal/1", `account/${owner}`, "logs"]) {
    const { page } = await open(view, { lies: nothing });
    await page.locator("main h1").first().waitFor({ state: "attached" });
    await page.waitForTimeout(1_000);
    assert.ok((await text(page)).length > 20, `${view} is empty`);
    assert.ok(await page.getByRole("link", { name: "Overview", exact: true }).isVisible(), view);
    await page.context().close();
  }
});
