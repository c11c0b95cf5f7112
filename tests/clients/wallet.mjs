// The package @causeway/payments as a `fetch` that pays: developer account 0 at the paywall that PAYWALL names, on the network NETWORK. Pages cost PRICE sat each, a streamed answer of
// EVENTS events TICK sat an event. By session and by charge, by ticks, within limits, with channels that are topped up, as a page that was closed and opened again. Before that, servers
// that are no good.
import assert from "node:assert/strict";
import { privateKeyToAccount } from "viem/accounts";
import { checkServers } from "./wallet_servers.mjs";
import { payments } from "./web_package.mjs";

const { PaymentError, Wallet } = payments;
await checkServers(payments);
if (!process.env.PAYWALL) process.exit();

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

// The same by ticks, in the same channel. In its midst the page is closed: what was promised and did not arrive, the next request gives.
const posts = [];
const counting = (target, init) => {
  if (`${target}`.includes("/causeway-ticks/")) posts.push(init.body.length / 32);
  return fetch(target, init);
};
const ticking = { ...options, ticks: true, fetch: counting };
const sum = () => posts.reduce((all, count) => all + count, 0);
for (const closes of [true, false]) {
  wallet = await Wallet.start(ticking);
  const [promised, ticked] = [wallet.spent, sum()];
  response = await wallet.fetch(`${PAYWALL}/events`);
  const reader = response.body.getReader();
  const parts = [];
  for (let part; !(part = await reader.read()).done && (!closes || parts.length < 9); ) parts.push(new TextDecoder().decode(part.value));
  if (closes) {
    await reader.cancel();
    // What is on its way is on its way.
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  if (!closes) assert.equal(parts.join("").match(/^data:/gm).length, events);
  assert.equal(paid.at(-1).channel, channel);
  assert.ok(sum() - ticked >= 3 && tick * BigInt(sum() - ticked) <= wallet.spent - promised, `${sum() - ticked} ticks of ${wallet.spent - promised}`);
  assert.ok(wallet.spent - promised <= tick * BigInt(events + 10) + price);
}
// All that was promised is in the payee's books, and no more.
response = await wallet.fetch(`${PAYWALL}/weather`);
assert.ok(BigInt(paid.at(-1).receipt.acceptedCumulative) <= wallet.spent - price, "the first page was paid by charge");

// The limit ends it.
const poor = await Wallet.start({ ...options, limits: { each: tick * 3n, inAll: 100_000n * SAT } });
const cut = await poor.fetch(`${PAYWALL}/events`).then((answer) => answer.text()).catch((error) => error);
assert.ok(cut instanceof PaymentError && cut.why === "limit", `${cut}`);
await assert.rejects(Wallet.start({ ...options, payees: [account.address] }).then((other) => other.fetch(`${PAYWALL}/weather`)), /no way that this payer pays/);

wallet = await Wallet.start(options);
// What the stream that was left had on its way is counted with the first page.
await (await wallet.fetch(`${PAYWALL}/weather`)).text();
// Bytes: ten thousand at ten sat a kilobyte, paid as they come, and all of them.
const [spentBefore, spentBytes] = [wallet.spent, () => wallet.channels[0].spent];
const countedBefore = spentBytes();
response = await wallet.fetch(`${PAYWALL}/bytes`);
assert.equal((await response.arrayBuffer()).byteLength, 10_000);
assert.equal(spentBytes() - countedBefore, 100n * SAT);
assert.ok(wallet.spent - spentBefore <= 200n * SAT, `${wallet.spent - spentBefore}`);

// The server was paid and its answer is lost, by session and by charge, with a key of the caller's own and without one: the same request is answered, also by a page that was opened again,
// and nothing more is spent.
const waiting = () => JSON.parse(kept.get("wallet")).unanswered.length;
for (const deposit of [options.deposit, undefined]) {
  for (const headers of [{}, { "idempotency-key": "of-the-caller" }]) {
    let isLost = false;
    const losing = async (target, init) => {
      const answer = await fetch(target, init);
      if (isLost || !answer.ok || init.method === "HEAD") return answer;
      isLost = true;
      await answer.arrayBuffer();
      throw new TypeError("the connection is gone");
    };
    wallet = await Wallet.start({ ...options, deposit, fetch: losing });
    const page = `${PAYWALL}/weather?lost=${deposit}`;
    // Where a channel is open it pays, whatever the options say of new ones.
    const url = deposit ? page : page.replace("127.0.0.1", "localhost");
    const [spent, waits] = [wallet.channels[0].spent, waiting()];
    await assert.rejects(wallet.fetch(url, { headers }), /connection is gone/);
    const signed = wallet.spent;
    assert.deepEqual([isLost, waiting()], [true, waits + 1]);
    wallet = await Wallet.start({ ...options, deposit });
    response = await wallet.fetch(url, { headers });
    assert.deepEqual([response.status, wallet.spent], [200, signed], await response.clone().text());
    assert.equal(paid.at(-1).intent, deposit ? "session" : "charge");
    assert.deepEqual([wallet.channels[0].spent - spent, waiting()], [deposit ? price : 0n, waits]);
  }
}
const closed = await (await Wallet.start(options)).close(`${PAYWALL}/weather`);
assert.match(closed.reference, /^0x[0-9a-f]{64}$/);

// A channel that is closed, as the server says to whoever did not know: its record stays, and another one is opened.
wallet = await Wallet.start(options);
// As many as are worth the gas of closing.
const pages = async (count) => {
  for (let page = 1; page <= count; page += 1) assert.equal((await wallet.fetch(`${PAYWALL}/weather`)).status, 200, `page ${page}`);
};
await pages(15);
const early = new Map(kept);
assert.ok((await wallet.close(`${PAYWALL}/weather`)).reference);
for (const [name, text] of early) kept.set(name, text);
wallet = await Wallet.start(options);
const [{ channel: gone }] = wallet.channels;
await pages(1);
await assert.rejects(wallet.close(`${PAYWALL}/weather`), /to close it costs .*ask the contract/);
await pages(14);
assert.notEqual(wallet.channels[0].channel, gone);
assert.deepEqual(wallet.past.at(-1).channel, gone);
await wallet.forget(`${PAYWALL}/weather`, gone);
await wallet.close(`${PAYWALL}/weather`);

// A channel of forty pages is topped up for the forty-first, and closes with what was spent.
wallet = await Wallet.start({ ...options, deposit: 40n * price });
await pages(41);
assert.deepEqual(wallet.channels.map(({ deposit }) => deposit), [80n * price]);
assert.equal(BigInt((await wallet.close(`${PAYWALL}/weather`)).spent), 41n * price);
console.log(`wallet: ${paid.length} payments by channel ${channel}, closed by ${closed.reference}`);
