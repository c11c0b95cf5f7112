// The package @causeway/payments against servers that are no good, or used up: what each costs, and with which words it ends. Scripted servers over HTTP, without a chain. `wallet.mjs` runs it.
import assert from "node:assert/strict";
import { PRICE, ask, end, failsAs, fresh, given, receipt, serve } from "./scripted_server.mjs";
import { checkLosses } from "./wallet_losses.mjs";

export async function checkServers({ PaymentError, Wallet }) {
  const fails = (...of) => failsAs(PaymentError, ...of);
  const totals = (server) => server.paid().map(({ payload }) => payload.cumulativeAmount);
  const ids = (server) => [...new Set(server.paid().map(({ payload }) => payload.channelId))];
  const honest = () => {
    let spent = 0n;
    return serve((payload) => (payload ? given(payload, (spent += PRICE)) : ask()));
  };

  // A channel pays the server that it was opened for: another one that names the same payee gets one of its own, if it gets any.
  const [ours, liar] = [await honest(), await honest()];
  const kept = new Map();
  let wallet = await Wallet.start(fresh({}, kept));
  for (const { url } of [ours, liar, ours]) assert.equal((await wallet.fetch(url)).status, 200);
  assert.equal(ids(ours).length, 1);
  assert.ok(!ids(liar).includes(ids(ours)[0]), "a voucher of another's channel");
  assert.deepEqual(totals(ours), ["10", "20"]);
  assert.deepEqual(wallet.channels.map(({ origin }) => origin), [ours.url, liar.url]);
  // A store of an older version says of no channel for which server it was opened: it pays nobody by itself, and is closed by its name.
  const older = JSON.parse(kept.get("wallet"));
  const [[name, session]] = Object.entries(older.sessions);
  const { origin, ...rest } = session;
  kept.set("wallet", JSON.stringify({ ...older, sessions: { [name.slice(0, name.indexOf("/http"))]: rest } }));
  wallet = await Wallet.start(fresh({}, kept));
  await wallet.fetch(ours.url);
  assert.notEqual(ours.paid().at(-1).payload.channelId, rest.channel);
  assert.deepEqual(wallet.channels.map(({ origin: of }) => of), [undefined, ours.url]);
  await wallet.close(ours.url, rest.channel);
  assert.deepEqual([ours.paid().at(-1).payload.action, ours.paid().at(-1).payload.channelId], ["close", rest.channel]);
  assert.deepEqual(wallet.channels.map(({ origin: of }) => of), [ours.url]);

  // Led elsewhere in the midst of a payment: nothing is shown there, and the next try promises no more.
  const elsewhere = await honest();
  const leading = await serve((payload) => (payload ? { status: 302, headers: { location: `${elsewhere.url}/x` } } : ask()));
  wallet = await Wallet.start(fresh());
  for (let tries = 0; tries < 2; tries += 1) await fails(wallet.fetch(leading.url), "refused", /leads to http.*nothing was shown there/);
  assert.deepEqual([elsewhere.seen.length, wallet.spent, new Set(totals(leading)).size], [0, PRICE, 1]);
  // Before it: who is led to is not paid unasked, unless it is the same server.
  const before = await serve(() => ({ status: 302, headers: { location: `${elsewhere.url}/x` } }));
  await fails(wallet.fetch(before.url), "unpayable", /leads to .*fetch that one/);
  const moved = await serve((payload, { path }) => (path === "/" ? { status: 301, headers: { location: "/new" } } : payload ? given(payload) : ask()));
  assert.equal((await wallet.fetch(moved.url)).status, 200);
  assert.deepEqual(elsewhere.paid(), []);

  // Asked again for what was paid: the same voucher, some times, and no second one. Not for more, nor in another unit.
  const deaf = await serve(() => ask());
  wallet = await Wallet.start(fresh());
  await fails(wallet.fetch(deaf.url), "refused", /answered 402/);
  assert.deepEqual([new Set(totals(deaf)), deaf.paid().length <= 4, wallet.spent], [new Set(["10"]), true, PRICE]);
  for (const dearer of [{ amount: 500n }, { unitType: "token" }]) {
    const greedy = await serve((payload) => (payload ? { ...ask(dearer), body: JSON.stringify({ requiredCumulative: "500" }) } : ask()));
    wallet = await Wallet.start(fresh());
    await fails(wallet.fetch(greedy.url), "asks-too-much", /asked for 10, and then for/);
    assert.deepEqual(totals(greedy), ["10"]);
  }
  const more = await serve((payload) => (payload ? { ...ask(), body: JSON.stringify({ requiredCumulative: "90" }) } : ask()));
  wallet = await Wallet.start(fresh());
  await fails(wallet.fetch(more.url), "asks-too-much", /asks for 90 in all/);
  assert.equal(wallet.spent, PRICE);

  // Events that say nonsense.
  const events = (...said) => ({ status: 200, headers: { "content-type": "text/event-stream" }, body: said.join("") });
  const needs = (text) => `event: payment-need-voucher\ndata: ${text}\n\n`;
  for (const [said, why, words] of [
    [needs("{"), "refused", /another channel/],
    [needs("null"), "refused", /another channel/],
    [needs(JSON.stringify({ channelId: `0x${"11".repeat(32)}`, requiredCumulative: "20" })), "refused", /another channel/],
  ]) {
    const odd = await serve((payload) => (payload ? events("data: 1\n\n", said) : ask({ unitType: "event" })));
    wallet = await Wallet.start(fresh());
    await fails(wallet.fetch(odd.url).then((response) => response.text()), why, words);
    assert.equal(wallet.spent, PRICE);
  }
  const odd = await serve((payload) => (payload ? events("event: payment-receipt\ndata: [\n\n", "data: 1\n\n") : ask({ unitType: "event" })));
  assert.equal(await (await (await Wallet.start(fresh())).fetch(odd.url)).text(), "data: 1\n\n", "a receipt that is none says nothing");

  await checkTopUps({ Wallet, fails });
  await checkTicks({ Wallet, fails, events, needs });
  await checkLosses({ Wallet, fails });
  end();
}

/** Channels of 25, where a page costs 10. */
async function checkTopUps({ Wallet, fails }) {
  const kept = new Map();
  const options = fresh({ deposit: 25n, limits: { each: 30n, inAll: 10_000n } }, kept);
  let [spent, lost, refuses] = [0n, 1, false];
  const server = await serve((payload) => {
    if (!payload) return ask();
    if (payload.action !== "topUp") return BigInt(payload.cumulativeAmount) < spent + PRICE ? ask() : given(payload, (spent += PRICE));
    if (refuses) return { status: 403, headers: {}, body: "" };
    return (lost -= 1) >= 0 ? undefined : { status: 200, headers: receipt(payload, spent) };
  });
  let wallet = await Wallet.start(options);
  for (let page = 0; page < 2; page += 1) await wallet.fetch(server.url);
  // Its answer is lost: opened again, the wallet shows the same, and the third page follows.
  await assert.rejects(wallet.fetch(server.url));
  assert.equal(wallet.spent, 20n, "nothing is promised by it");
  wallet = await Wallet.start(options);
  const pages = await Promise.all([1, 2].map(() => wallet.fetch(server.url)));
  assert.deepEqual(pages.map(({ status }) => status), [200, 200]);
  const added = () => server.paid().filter(({ payload }) => payload.action === "topUp").map(({ payload }) => payload);
  assert.deepEqual([added().length, new Set(added().map(({ authorization }) => authorization.nonce)).size], [2, 1], "one number adds once");
  assert.deepEqual([added()[0].additionalDeposit, wallet.channels[0].deposit, wallet.channels.length], ["25", 50n, 1]);
  await wallet.fetch(server.url);
  await wallet.fetch(server.url);
  assert.notEqual(added().at(-1).authorization.nonce, added()[0].authorization.nonce);
  refuses = true;
  await wallet.fetch(server.url);
  const before = wallet.spent;
  await fails(wallet.fetch(server.url), "deposit", /the channel's deposit is 75, and nothing was added to it: the server answered 403/);
  assert.equal(wallet.spent, before);
  // The limit is looked at first: nothing is locked for what is not promised then.
  const dear = await serve((payload) => (payload ? { ...ask({ unitType: "token" }), body: JSON.stringify({ requiredCumulative: "9000" }) } : ask({ unitType: "token" })));
  await fails(wallet.fetch(dear.url), "limit", /would have cost/);
  assert.ok(dear.paid().every(({ payload }) => payload.action !== "topUp"));
}

/** A stream that asks for four more events' money, and then for ten more. */
async function checkTicks({ Wallet, fails, events, needs }) {
  for (const arrives of [true, false]) {
    let [signed, taken] = [undefined, 0];
    const server = await serve((payload, { method, path, ticks }) => {
      if (path.startsWith("/.well-known/causeway-ticks/")) {
        taken += ticks.length / 32;
        return arrives ? { status: 200, headers: {}, body: JSON.stringify({ ticks: taken }) } : { status: 503, headers: {} };
      }
      if (!payload) return ask({ unitType: "event" });
      if (payload.action === "stream") signed = payload.stream;
      if (method === "HEAD") return { status: 200, headers: receipt(payload, 0) };
      const need = (requiredCumulative) => needs(JSON.stringify({ channelId: payload.channelId, requiredCumulative }));
      return events("data: 1\n\n", need("20"), "data: 2\n\n", "data: 3\n\n", need("40"), "data: 4\n\n", need("900"));
    });
    const wallet = await Wallet.start(fresh({ ticks: true, ahead: 10n }));
    await fails(wallet.fetch(server.url).then((response) => response.text()), "asks-too-much", /asks for 900/);
    assert.deepEqual([wallet.spent, signed.tickAmount, taken], [40n, "10", 3]);
    // Ticks that may not have arrived a voucher gives, of the same total.
    const vouchers = server.paid().filter(({ method, payload }) => method === "HEAD" && payload.action === "voucher");
    assert.deepEqual(vouchers.map(({ payload }) => payload.cumulativeAmount), arrives ? [] : ["20", "40"]);
  }
}
