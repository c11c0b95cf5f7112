// The package @causeway/payments pays the Rust payee: `PAYEE` names the built example payee_by_lines. 64 requests in flight, a page that is closed and opened again, limits,
// receipts that are checked, and streams of ticks. Needs no node.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { privateKeyToAccount } from "viem/accounts";
import { payments } from "./web_package.mjs";

const { MOST_IN_FLIGHT, Payer, chain, channelId, openNonce, receiptSigner, streamDigest, topUpNonce } = payments;

// Names and nonces are those of the contract.
for (const one of JSON.parse(readFileSync(new URL("../../contracts/test/vectors/payments.json", import.meta.url))).cases) {
  assert.equal(channelId(one, one), one.channelId);
  assert.equal(topUpNonce(one.network, one.channelId, BigInt(one.topUpNumber)), one.topUpNonce);
  assert.equal(streamDigest(one, one), one.streamDigest);
  assert.equal(chain(one.preimage, 1)[0], one.root);
  assert.equal(chain(one.preimage, 1_024)[1_023], one.root);
  if (!one.splitBps.length) assert.equal(openNonce(one.network, one.channelId), one.openNonce);
}

// What the example is made for.
const account = privateKeyToAccount(`0x${"01".repeat(32)}`);
const payee = privateKeyToAccount(`0x${"02".repeat(32)}`).address;
const domain = { chainId: 51717, contract: `0x${"05".repeat(20)}` };
const folder = mkdtempSync(join(tmpdir(), "payments-"));
const child = spawn(process.env.PAYEE, [folder], { stdio: ["pipe", "pipe", "inherit"] });
const waiting = [];
createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()(line));
const ask = (voucher) => new Promise((resolve) => {
  waiting.push(resolve);
  child.stdin.write(`${JSON.stringify(voucher)}\n`);
});

let saved = null;
let saves = 0;
const store = {
  load: async () => saved,
  save: async (text) => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    [saved, saves] = [text, saves + 1];
  },
};
const options = {
  domain, account, store, channel: `0x${"07".repeat(32)}`, deposit: 1_000_000n, receiptSigner: payee, limits: { inAll: 100_000n, each: 90_000n, endpoints: { dear: 25n } },
};
let payer = await Payer.start(options);
const request = (number, price = 10n, endpoint = "page") => ({ id: `request ${number}`, endpoint, price });

// 64 in flight: each is paid, and they share saves.
const numbers = Array.from({ length: MOST_IN_FLIGHT }, (_, number) => number);
const vouchers = await Promise.all(numbers.map((number) => payer.pay(request(number))));
assert.equal(new Set(vouchers.map((voucher) => voucher.cumulativeAmount)).size, MOST_IN_FLIGHT);
assert.ok(saves < 10, `${saves} saves`);
await assert.rejects(payer.pay(request(64)), /64 requests are not answered/);

// The page is closed before the answers come: opened again, it sends the same.
payer = await Payer.start(options);
const again = await Promise.all(payer.unanswered().map((one) => payer.pay(one)));
assert.deepEqual(again, vouchers);
const receipts = (await Promise.all(again.map(ask))).map((line) => JSON.parse(line));
const late = JSON.parse(await ask(vouchers[0]));
const { path, signature, ...said } = late;
assert.deepEqual({ ...said, path: receipts[0].path, signature: receipts[0].signature }, receipts[0], "the same receipt again");
await assert.rejects(payer.answer({ ...receipts[0], charged: "11" }), /signed by/);
await assert.rejects(payer.answer({ ...receipts[0], price: "11" }), /promised were 10/);
for (const receipt of receipts) await payer.answer(receipt);
assert.equal(await receiptSigner(domain, late), payee);
assert.ok(receipts.some((receipt) => receipt.path.length > 0), "some were signed together");
assert.equal(payer.unanswered().length, 0);
assert.equal(payer.receipt.charged, "640");
assert.equal(payer.overclaim(640n), 0n);
assert.equal(payer.overclaim(650n), 10n);

// Limits, and what is refused by the payee.
await assert.rejects(payer.pay(request(65, 26n, "dear")), /dear would have cost 26, 25 are allowed/);
await assert.rejects(payer.pay(request(65, 89_400n)), /page would have cost 90040/);
await assert.rejects(payer.pay(request(65, 0n)), /makes no payment/);
const cheap = await payer.pay(request(66, 9n));
assert.match(await ask(cheap), /pays 9, the price is 10/);
await assert.rejects(Payer.start({ ...options, channel: `0x${"08".repeat(32)}` }), /the store is of channel/);

// Ticks: one signature, then a hash each, which the Rust payee takes.
const terms = { endpoint: "stream", tickAmount: 3n };
const take = async (line) => JSON.parse(await ask(line)).taken;
const before = payer.signed;
const { signed, given } = await payer.stream(terms);
assert.equal(given, undefined);
assert.deepEqual([signed.ticks, BigInt(signed.cumulativeAmount), await take(signed)], [1_024, before, 0]);
for (const one of await payer.give(signed.root, 5)) assert.equal(await take(one), one.number);
assert.equal(payer.signed, before + 15n);
// The page is closed after more were promised, before they left: opened again it shows the same stream, and the last tick pays for all.
await payer.give(signed.root, 4);
payer = await Payer.start(options);
const goesOn = await payer.stream(terms);
assert.deepEqual([goesOn.signed, goesOn.given.number, payer.signed], [signed, 9, before + 27n]);
assert.equal(await take(goesOn.given), 9);
assert.match(await ask(goesOn.given), /error/, "a tick pays once");
assert.equal(await take((await payer.give(signed.root, 1))[0]), 10);
// What cannot be saved is never shown, and counts.
const { save } = store;
store.save = async () => { throw new Error("full"); };
await assert.rejects(payer.give(signed.root, 1), /full/);
store.save = save;
assert.equal((await payer.give(signed.root, 1))[0].number, 12);
await assert.rejects(payer.give(signed.root, 1_013), /1013 ticks of a stream that has 1012 left/);
await assert.rejects(payer.stream({ endpoint: "dear", tickAmount: 26n }).then(({ signed: dear }) => payer.give(dear.root, 1)), /dear would have cost 26/);
// A voucher takes the place of a stream; the next begins behind it.
await payer.pay(request(67));
assert.equal(payer.streaming, undefined);
const next = await payer.stream(terms);
assert.deepEqual([BigInt(next.signed.cumulativeAmount), next.signed.root === signed.root], [payer.signed, false]);
assert.equal(await take(next.signed), 0);
assert.equal(await take((await payer.give(next.signed.root, 2))[1]), 2);

child.stdin.end();
const code = await new Promise((resolve) => child.on("exit", resolve));
assert.equal(code, 0);
rmSync(folder, { recursive: true });
console.log(`payments: ${MOST_IN_FLIGHT} in flight paid, ${saves} saves`);
