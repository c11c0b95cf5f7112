// The package @causeway/payments as a `fetch` that pays: developer account 0 at the paywall that PAYWALL names, on the network NETWORK. Pages cost PRICE sat each, a streamed answer of
// EVENTS events TICK sat an event. By session and by charge, within limits, as a page that was closed and opened again.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync } from "node:fs";
import { privateKeyToAccount } from "viem/accounts";

const [web, installed] = [new URL("../../bridge/payments/web/", import.meta.url), new URL("node_modules/@causeway/payments/", import.meta.url)];
execFileSync("npm", ["run", "--silent", "build"], { cwd: web, stdio: "inherit" });
for (const part of ["package.json", "dist"]) cpSync(new URL(part, web), new URL(part, installed), { recursive: true });
const { PaymentError, Wallet } = await import("@causeway/payments");

const { PAYWALL, NETWORK, PRICE, TICK, EVENTS } = process.env;
const SAT = 10_000_000_000n;
const [price, tick, events] = [BigInt(PRICE) * SAT, BigInt(TICK) * SAT, Number(EVENTS)];
const account = privateKeyToAccount("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
const kept = new Map();
const paid = [];
const options = {
  account, chainId: 51717, network: NETWORK, escrow: "0xcA05000000000000000000000000000000000005",
  token: { address: "0xcA05000000000000000000000000000000000008", name: "Causeway Wrapped BTC", version: "1" },
  limits: { each: 1_000n * SAT, inAll: 100_000n * SAT }, deposit: 10_000n * SAT,
  store: (name) => ({ load: async () => kept.get(name), save: async (text) => void kept.set(name, text) }),
  onPaid: (one) => paid.push(one),
};

// By charge, without a deposit.
let wallet = await Wallet.start({ ...options, deposit: undefined });
let response = await wallet.fetch(`${PAYWALL}/weather`);
assert.equal(response.status, 200);
assert.equal(paid.at(-1).intent, "charge");
assert.equal(wallet.spent, price);

// By session: a channel is opened with the first page, and stays, also when the page was closed.
wallet = await Wallet.start(options);
for (const number of [1, 2]) {
  response = await wallet.fetch(`${PAYWALL}/weather`);
  assert.equal(response.status, 200, `page ${number}: ${await response.clone().text()}`);
}
const { channel, receipt } = paid.at(-1);
assert.equal(paid.at(-1).intent, "session");
assert.equal(BigInt(receipt.spent), 2n * price);
wallet = await Wallet.start(options);
const many = await Promise.all(Array.from({ length: 8 }, () => wallet.fetch(`${PAYWALL}/weather`)));
assert.deepEqual(many.map(({ status }) => status), Array(8).fill(200));
assert.equal(paid.at(-1).channel, channel);

// A streamed answer: all of its events, none of the payee's own, and paid for each.
const before = wallet.spent;
response = await wallet.fetch(`${PAYWALL}/events`);
const text = await response.text();
assert.equal(text.match(/^data:/gm).length, events, text);
assert.ok(!text.includes("payment-"), text);
const streamed = wallet.spent - before;
assert.ok(streamed >= tick * BigInt(events) - 2n * price && streamed <= tick * BigInt(events + 10), `${streamed}`);

// The limit ends it.
const poor = await Wallet.start({ ...options, limits: { each: tick * 3n, inAll: 100_000n * SAT } });
const cut = await poor.fetch(`${PAYWALL}/events`).then((answer) => answer.text()).catch((error) => error);
assert.ok(cut instanceof PaymentError && cut.why === "limit", `${cut}`);
await assert.rejects(Wallet.start({ ...options, payees: [account.address] }).then((other) => other.fetch(`${PAYWALL}/weather`)), /no way that this payer pays/);

const closed = await (await Wallet.start(options)).close(`${PAYWALL}/weather`);
assert.match(closed.reference, /^0x[0-9a-f]{64}$/);
console.log(`wallet: ${paid.length} payments by channel ${channel}, closed by ${closed.reference}`);
