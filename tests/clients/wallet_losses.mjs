// The package @causeway/payments where an answer is lost, a deposit does not arrive, a channel is gone, or a server has one deposit after another locked. `wallet_servers.mjs` runs it.
import assert from "node:assert/strict";
import { PRICE, ask, charge, fresh, given, receipt, serve } from "./scripted_server.mjs";

const address = (number) => `0x${number.toString(16).padStart(40, "0")}`;
const gone = (code) => ({ status: 410, headers: {}, body: JSON.stringify({ code, detail: "no such channel" }) });
const insufficient = (more) => ask({}, { code: "insufficient-balance", ...more });

/** A server of sessions with books, by channel: pages cost PRICE, a key's answer is given again, and each answer goes through `told`. */
function seller(told = (answer) => answer, demand = {}) {
  const books = new Map();
  const keys = new Map();
  return serve((payload, request) => {
    if (!payload) return ask(demand);
    const book = books.get(payload.channelId) ?? { spent: 0n, accepted: 0n };
    books.set(payload.channelId, book);
    if (payload.cumulativeAmount && BigInt(payload.cumulativeAmount) > book.accepted) book.accepted = BigInt(payload.cumulativeAmount);
    const isPage = request.method !== "HEAD" && payload.action !== "close";
    const name = `${payload.channelId} ${request.key}`;
    if (isPage && !keys.has(name)) {
      const required = book.spent + PRICE;
      if (book.accepted < required) return told(insufficient({ requiredCumulative: `${required}` }), payload, request, book);
      keys.set(name, (book.spent = required));
    }
    const answer = isPage ? given(payload, book.spent) : { status: 200, headers: receipt(payload, book.spent), body: "" };
    return told(answer, payload, request, book);
  });
}

/** The first answer of this kind is lost, once. */
const losing = (isIt, how = () => undefined) => {
  let lost = false;
  return (answer, payload, request, book) => {
    if (lost || !isIt(answer, payload, request)) return answer;
    lost = true;
    return how(answer, payload, request, book);
  };
};
const isPage = (answer, payload) => answer.status === 200 && payload.action !== "topUp";
/** The head came, of the body a part. */
const breaks = (answer) => ({ ...answer, headers: { ...answer.headers, "content-length": "1000" }, parts: ["pa"], breaks: true });
const breaksWithoutLength = (answer) => ({ ...answer, parts: ["pa"], breaks: true });

const later = async (seconds, does) => {
  const now = Date.now;
  Date.now = () => now() + seconds * 1000;
  return does().finally(() => (Date.now = now));
};

export const losses = {
  async "one server that names one payee after another has one deposit locked"({ Wallet, fails }) {
    let number = 0;
    const liar = await serve((payload) => (payload ? given(payload, 1n) : ask({ amount: 1n, recipient: address((number += 1)) })));
    const wallet = await Wallet.start(fresh({ deposit: 1_000n, limits: { each: 10n, inAll: 100n } }));
    assert.equal((await wallet.fetch(liar.url)).status, 200);
    for (let page = 0; page < 24; page += 1) await fails(wallet.fetch(liar.url), "other-payee", /is open and pays 0x0+1, the server names 0x0+[0-9a-f]+ now.*wallet\.forget/);
    assert.deepEqual([wallet.channels.length, wallet.spent], [1, 1n]);
    assert.equal(new Set(liar.paid().map(({ payload }) => payload.channelId)).size, 1);
    // At once it is the same.
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => wallet.fetch(liar.url)));
    assert.ok(all.every(({ reason }) => reason?.why === "other-payee"));
    // Who knows better says so; what is locked in all has a limit of its own then.
    await wallet.forget(liar.url, wallet.channels[0].channel);
    assert.deepEqual([wallet.channels.length, wallet.locked, wallet.past[0].ended], [0, 0n, "forgotten"]);
    assert.equal((await wallet.fetch(liar.url)).status, 200);
    const others = await Promise.all(Array.from({ length: 3 }, (_, of) => seller(undefined, { recipient: address(99 + of) })));
    for (const other of others) await fails(wallet.fetch(other.url), "limit", /1999 would be locked, 1100 are allowed \(limits\.locked\)/);
    const rich = await Wallet.start(fresh({ deposit: 1_000n, limits: { each: 10n, inAll: 100n, locked: 2_000n } }));
    const answers = await Promise.allSettled(others.map(({ url }) => rich.fetch(url)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), ["fulfilled", "fulfilled", "rejected"], "fetches at once lock no more");
    // Payees that were named beforehand have one each.
    const named = await Wallet.start(fresh({ payees: [address(number + 1), address(number + 2)] }));
    for (let page = 0; page < 2; page += 1) assert.equal((await named.fetch(liar.url)).status, 200);
    assert.equal(named.channels.length, 2);
  },

  async "a server that says each time that its channel is closed has no more locked than the limit"({ Wallet, fails }) {
    const seen = new Set();
    const liar = await serve((payload, { method }) => {
      if (!payload) return ask();
      if (payload.action === "open" && !seen.has(payload.channelId)) return given(payload, seen.add(payload.channelId) && 1n);
      return method === "HEAD" ? { status: 410, headers: {} } : gone("channel-finalized");
    });
    const wallet = await Wallet.start(fresh({ limits: { each: 1_000n, inAll: 10_000n, locked: 450n } }));
    for (let page = 0; page < 4; page += 1) assert.equal((await wallet.fetch(liar.url)).status, 200);
    for (let page = 0; page < 4; page += 1) await fails(wallet.fetch(liar.url), "limit", /their servers say that they are closed: look whether the chain says so too.*wallet\.forget/);
    assert.deepEqual([seen.size, wallet.locked <= 450n, wallet.past.length], [4, true, 4]);
  },

  async "a page that was paid and not answered is paid once, by session"({ Wallet }) {
    for (const how of [() => undefined, breaks, breaksWithoutLength]) {
      for (const key of [undefined, "its-own"]) {
        const server = await seller(losing(isPage, how));
        const kept = new Map();
        let wallet = await Wallet.start(fresh({}, kept));
        const once = (path = "/") => wallet.fetch(server.url + path, { method: "POST", body: "same", ...(key && { headers: { "idempotency-key": key } }) }).then((response) => response.text());
        await assert.rejects(once());
        wallet = await Wallet.start(fresh({}, kept));
        assert.equal(await once(), "page");
        assert.deepEqual([wallet.spent, new Set(server.paid().map(({ key }) => key)).size], [PRICE, 1]);
        // It was answered: the next is another one.
        if (!key) assert.deepEqual([await once(), wallet.spent], ["page", 2n * PRICE]);
      }
    }
  },

  async "a page that was paid and not answered is paid once, by charge"({ Wallet }) {
    for (const how of [() => undefined, breaks, breaksWithoutLength]) {
      for (const key of [undefined, "its-own"]) {
        const told = losing((answer) => answer.status === 200, how);
        const server = await serve((payload, request) => (payload ? told(given(payload), payload, request) : charge()));
        const kept = new Map();
        let wallet = await Wallet.start(fresh({}, kept));
        const once = () => wallet.fetch(server.url, { ...(key && { headers: { "idempotency-key": key } }) }).then((response) => response.text());
        await assert.rejects(once());
        assert.equal(wallet.spent, PRICE);
        wallet = await Wallet.start(fresh({}, kept));
        assert.equal(await once(), "page");
        assert.deepEqual([wallet.spent, new Set(server.paid().map(({ key }) => key)).size, new Set(server.paid().map(({ payload }) => payload.nonce)).size], [PRICE, 1, 1]);
        await once();
        assert.equal(wallet.spent, 2n * PRICE, "it was answered: the next is another one");
      }
    }
  },

  async "the same request at the same time is two requests, and one that failed is shown by the next"({ Wallet }) {
    let fail = 1;
    const server = await serve((payload) => (payload ? ((fail -= 1) >= 0 ? { status: 503, headers: {}, body: "" } : given(payload)) : charge()));
    const wallet = await Wallet.start(fresh());
    assert.equal((await wallet.fetch(server.url)).status, 503);
    await Promise.all([wallet.fetch(server.url), wallet.fetch(server.url)]);
    assert.deepEqual([wallet.spent, new Set(server.paid().map(({ payload }) => payload.nonce)).size], [2n * PRICE, 2]);
  },

  async "a charge that was refused is signed anew when nobody can carry it out any more, and not before"({ Wallet, fails }) {
    let refuses = true;
    const server = await serve((payload) => (!payload || refuses ? charge() : given(payload)));
    const wallet = await Wallet.start(fresh());
    for (let page = 0; page < 3; page += 1) await fails(wallet.fetch(server.url), "refused", /carried out until .*Z: until then the same request shows the same payment/);
    assert.deepEqual([wallet.spent, new Set(server.paid().map(({ payload }) => payload.nonce)).size], [PRICE, 1]);
    await later(400, () => fails(wallet.fetch(server.url), "refused", /carried out until/));
    assert.deepEqual([wallet.spent, new Set(server.paid().map(({ payload }) => payload.nonce)).size], [2n * PRICE, 2]);
    refuses = false;
    assert.equal((await later(400, () => wallet.fetch(server.url))).status, 200);
    assert.equal(wallet.spent, 2n * PRICE);
  },

  async "a server that answers nothing fills no store"({ Wallet, fails }) {
    const [deaf, good] = [await serve((payload) => (payload ? undefined : charge())), await serve((payload) => (payload ? undefined : charge()))];
    const kept = new Map();
    const wallet = await Wallet.start(fresh({}, kept));
    await assert.rejects(wallet.fetch(good.url));
    for (let page = 0; page < 40; page += 1) await assert.rejects(wallet.fetch(`${deaf.url}/${page}`));
    const waits = JSON.parse(kept.get("wallet")).unanswered.map(({ url }) => new URL(url).origin);
    assert.deepEqual([waits.length, waits.includes(good.url)], [33, true]);
    for (const [what, words] of [[`description="${"x".repeat(9_000)}"`, /characters, 8192 are kept/], ['expires="never"', /no way that this payer pays/]]) {
      const { status, headers } = charge();
      const asks = headers["www-authenticate"].replace(/expires="[^"]*"/, "");
      const long = await serve(() => ({ status, headers: { "www-authenticate": `${asks}, ${what}`.replace(", ,", ",") } }));
      await fails(wallet.fetch(long.url), "unpayable", words);
    }
  },

  async "a top-up that arrived and was not answered is known by what the server says that the channel has"({ Wallet, fails }) {
    let [deposit, refuses] = [25n, false];
    const server = await seller((answer, payload, { method }, book) => {
      if (payload.action === "topUp") {
        if (refuses) return { status: 402, headers: ask().headers };
        [deposit, refuses] = [deposit + 25n, true];
        return undefined;
      }
      return answer.status === 402 && method !== "HEAD" ? insufficient({ requiredCumulative: `${book.spent + PRICE}`, deposit: `${deposit}` }) : answer;
    });
    const kept = new Map();
    let wallet = await Wallet.start(fresh({ deposit: 25n }, kept));
    for (let page = 0; page < 2; page += 1) await wallet.fetch(server.url);
    await assert.rejects(wallet.fetch(server.url));
    wallet = await Wallet.start(fresh({ deposit: 25n }, kept));
    assert.equal((await wallet.fetch(server.url)).status, 200);
    assert.deepEqual([wallet.channels[0].deposit, wallet.spent], [50n, 30n]);
    for (let page = 0; page < 2; page += 1) await wallet.fetch(server.url);
    // One that did not arrive: it is said, and the channel closes.
    await fails(wallet.fetch(server.url), "deposit", /deposit is 50, and nothing was added to it: the server answered 402/);
    await wallet.close(server.url);
    assert.deepEqual([wallet.channels.length, wallet.past[0].ended, wallet.spent], [0, "closed", 50n]);
  },

  async "an opening that did not arrive in time is signed anew, for the same channel by the same nonce"({ Wallet }) {
    let isDown = true;
    const server = await seller((answer) => (isDown ? undefined : answer));
    const wallet = await Wallet.start(fresh());
    await assert.rejects(wallet.fetch(server.url));
    await assert.rejects(wallet.fetch(server.url));
    const authorizations = () => server.paid().map(({ payload }) => payload.authorization);
    assert.equal(new Set(authorizations().map(({ validBefore }) => validBefore)).size, 1, "the same, as long as it is valid");
    isDown = false;
    assert.equal((await later(700, () => wallet.fetch(server.url))).status, 200);
    const [first, last] = [authorizations()[0], authorizations().at(-1)];
    assert.ok(BigInt(last.validBefore) > BigInt(first.validBefore));
    assert.equal(last.nonce, first.nonce);
    assert.equal(new Set(server.paid().map(({ payload }) => payload.channelId)).size, 1);
    assert.equal(wallet.spent, PRICE);
  },

  async "an opening that was refused for its size is signed with the new size, for the same channel by the same nonce"({ Wallet, fails }) {
    const server = await seller((answer, { authorization }) => (authorization && BigInt(authorization.value) < 200n ? ask({}, { code: "deposit-too-small", detail: "200 are wanted" }) : answer));
    const kept = new Map();
    for (let page = 0; page < 2; page += 1) await fails((await Wallet.start(fresh({}, kept))).fetch(server.url), "refused", /200 are wanted; the deposit is 100: with a larger one/);
    await fails((await Wallet.start(fresh({ deposit: 300n, limits: { each: 100n, inAll: 100n, locked: 200n } }, kept))).fetch(server.url), "limit", /300 would be locked, 200 are allowed/);
    const wallet = await Wallet.start(fresh({ deposit: 300n }, kept));
    assert.equal((await wallet.fetch(server.url)).status, 200);
    const authorizations = server.paid().map(({ payload }) => payload.authorization);
    assert.deepEqual([authorizations.at(-1).value, new Set(authorizations.map(({ nonce }) => nonce)).size], ["300", 1]);
    assert.deepEqual([new Set(server.paid().map(({ payload }) => payload.channelId)).size, wallet.channels[0].deposit, wallet.locked], [1, 300n, 290n]);
  },

  async "a channel that is closed is forgotten, and another one is opened under the limits"({ Wallet, fails }) {
    for (const code of ["channel-finalized", "channel-not-found"]) {
      let closed;
      const server = await seller((answer, { channelId }) => (channelId === closed ? gone(code) : answer));
      const wallet = await Wallet.start(fresh());
      await wallet.fetch(server.url);
      closed = wallet.channels[0].channel;
      const pages = await Promise.all([1, 2, 3].map(() => wallet.fetch(server.url)));
      assert.deepEqual(pages.map(({ status }) => status), [200, 200, 200]);
      assert.deepEqual([wallet.channels.length, wallet.past.map(({ channel, ended, deposit }) => [channel, ended, deposit])], [1, [[closed, "said-closed", 100n]]]);
      // Its owner looked: it counts no more.
      const before = wallet.locked;
      await wallet.forget(server.url, closed);
      assert.equal(wallet.locked, before - 90n);
      await fails(wallet.forget(server.url, address(7)), "unpayable", /no channel .* is known/);
      // Closed by itself, or by who asks for it: both end.
      closed = wallet.channels[0].channel;
      assert.equal(await wallet.close(server.url), undefined);
      assert.deepEqual([wallet.channels, wallet.past.at(-1).ended], [[], "said-closed"]);
    }
  },

  async "a channel closes in each state, or it is said why not and what to do"({ Wallet, fails }) {
    // Its opening may still arrive.
    let [isDown, answers] = [true, undefined];
    const server = await seller((answer, payload) => (payload.action === "close" && answers ? answers : isDown ? undefined : answer));
    const wallet = await Wallet.start(fresh());
    await assert.rejects(wallet.fetch(server.url));
    answers = gone("channel-not-found");
    await fails(wallet.close(server.url), "refused", /does not have the channel, and can open it until .*Z: close it then/);
    assert.equal(await later(700, () => wallet.close(server.url)), undefined);
    assert.deepEqual([wallet.channels.length, wallet.past.length], [0, 1]);
    // Too little was spent, or nobody asks for a session any more, or for another payee.
    isDown = false;
    await wallet.fetch(server.url);
    answers = { status: 403, headers: {}, body: JSON.stringify({ code: "close-too-dear", detail: "to close it costs more" }) };
    await fails(wallet.close(server.url), "refused", /to close it costs more; to close it without the server, ask the contract for channel 0x.*requestClose/);
    for (const [asks, why, words] of [
      [{ status: 200, headers: {}, body: "free" }, "unpayable", /asks for no session: name a page of the server that does; or, .*requestClose/],
      [ask({ recipient: address(5) }), "other-payee", /the server names 0x0+5 now: .*requestClose/],
    ]) {
      const other = await serve((payload) => (payload ? given(payload) : asks));
      const kept = new Map();
      const first = await Wallet.start(fresh({ fetch: (url, init) => fetch(`${url}`.replace(other.url, server.url), init) }, kept));
      await first.fetch(other.url);
      await fails((await Wallet.start(fresh({}, kept))).close(other.url), why, words);
    }
  },

  async "an answer of bytes is paid as it comes, a little ahead and no further"({ Wallet, fails }) {
    for (const unitType of ["kilobyte", "byte"]) {
      const amount = unitType === "byte" ? 1n : 1_000n;
      const server = (length) => {
        const books = new Map();
        return serve((payload, { method }) => {
          if (!payload) return ask({ amount, unitType });
          const total = BigInt(payload.cumulativeAmount ?? 0);
          books.set(payload.channelId, total > (books.get(payload.channelId) ?? 0n) ? total : books.get(payload.channelId));
          if (method === "HEAD") return { status: 200, headers: receipt(payload, 0n) };
          // As much as was paid for, and then it waits.
          const parts = async function* () {
            let patience = 40;
            for (let given = 0; given < length && patience > 0; ) {
              const good = Math.min(Number(books.get(payload.channelId)), length) - given;
              if (good > 0) yield Buffer.alloc(good, "x");
              given += Math.max(good, 0);
              patience = good > 0 ? 40 : patience - 1;
              if (good <= 0) await new Promise((resolve) => setTimeout(resolve, 10));
            }
            this.breaks = patience === 0;
          };
          const said = { status: 200, headers: receipt(payload, 0n), breaks: false };
          return Object.assign(said, { parts: parts.call(said) });
        });
      };
      const options = { deposit: 40_000n, limits: { each: 60_000n, inAll: 200_000n }, ahead: 5_000n };
      const whole = await server(50_000);
      const wallet = await Wallet.start(fresh(options));
      const text = await wallet.fetch(whole.url).then((response) => response.text());
      assert.equal(text.length, 50_000);
      assert.ok(wallet.spent >= 50_000n && wallet.spent <= 55_000n, `${wallet.spent}`);
      assert.deepEqual([wallet.channels[0].spent, wallet.channels[0].deposit], [50_000n, 80_000n]);
      // The limit ends it, at once, and all of that was given.
      const long = await server(90_000);
      await fails(wallet.fetch(long.url).then((response) => response.text()), "limit", /would have cost .*60000 are allowed/);
      assert.ok(wallet.spent <= 55_000n + 60_000n);
      // Whoever does not read it pays for no more.
      const unread = await Wallet.start(fresh(options));
      const response = await unread.fetch(whole.url);
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(unread.spent, amount);
      await response.body.cancel();
    }
  },
};

export async function checkLosses(tools) {
  for (const [sentence, check] of Object.entries(losses)) {
    await check(tools).catch((why) => {
      why.message = `${sentence}: ${why.message}`;
      throw why;
    });
  }
}
