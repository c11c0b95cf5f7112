// Servers that answer over HTTP as they are told, without a chain, and a wallet's options before them.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { privateKeyToAccount } from "viem/accounts";

export const account = privateKeyToAccount(`0x${"01".repeat(32)}`);
export const payee = privateKeyToAccount(`0x${"02".repeat(32)}`).address;
const [escrow, coins, network] = [`0x${"05".repeat(20)}`, `0x${"08".repeat(20)}`, `0x${"09".repeat(32)}`];
/** Of a page, or an event. */
export const PRICE = 10n;

const to64 = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");

/** Asks for a session; `body`: what else the answer says. */
export const ask = ({ amount = PRICE, unitType = "request", feePayer = true, recipient = payee } = {}, body = undefined) => {
  const details = { chainId: 51717, escrowContract: escrow, feePayer, minVoucherDelta: "0" };
  const request = to64({ amount: amount.toString(), currency: coins, recipient, unitType, methodDetails: details });
  const headers = { "www-authenticate": `Payment id="x", realm="r", method="evm", intent="session", request="${request}"` };
  return { status: 402, headers, ...(body && { body: JSON.stringify(body) }) };
};

let charges = 0;
/** Asks for a charge, each time by another challenge. */
export const charge = (lifetime = 300) => {
  const request = to64({ amount: PRICE.toString(), currency: coins, recipient: payee, methodDetails: { chainId: 51717, credentialTypes: ["authorization"] } });
  const expires = new Date(Date.now() + lifetime * 1000).toISOString();
  return { status: 402, headers: { "www-authenticate": `Payment id="${(charges += 1)}", realm="r", method="evm", intent="charge", expires="${expires}", request="${request}"` } };
};

export const receipt = (payload, spent) => ({ "payment-receipt": to64({ channelId: payload.channelId, spent: spent.toString() }) });
export const given = (payload, spent = PRICE) => ({ status: 200, headers: receipt(payload, spent), body: "page" });

const servers = [];
/** A server that answers by `answer(payload, request)`: what the credential has, none without one; nothing for nothing. Its requests are in `seen`. What has `parts` is written part by
 * part; with `breaks` it breaks off. */
export async function serve(answer) {
  const seen = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const paid = /^Payment (.*)$/.exec(request.headers.authorization ?? "")?.[1];
    const { payload } = paid ? JSON.parse(Buffer.from(paid, "base64url")) : {};
    const one = { method: request.method, path: request.url, key: request.headers["idempotency-key"], payload, ticks: Buffer.concat(chunks) };
    seen.push(one);
    const said = await answer(payload, one, seen);
    if (!said) return request.socket.destroy();
    response.writeHead(said.status, said.headers);
    if (said.parts) for await (const part of said.parts) response.write(part);
    if (said.breaks) return setTimeout(() => request.socket.destroy(), 50);
    response.end(request.method === "HEAD" ? undefined : said.body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return { url: `http://127.0.0.1:${server.address().port}`, seen, paid: () => seen.filter(({ payload }) => payload) };
}

export const end = () => servers.forEach((server) => server.close());

/** A wallet's options, with a store of its own. */
export const fresh = (more = {}, kept = new Map()) => ({
  account, chainId: 51717, network, escrow, token: { address: coins, name: "Coins", version: "1" },
  limits: { each: 1_000n, inAll: 10_000n }, deposit: 100n,
  store: (name) => ({ load: async () => kept.get(name), save: async (text) => void kept.set(name, text) }),
  ...more,
});

export async function failsAs(PaymentError, promise, why, words) {
  const error = await promise.then(() => assert.fail(`it went well, wanted: ${words}`), (error) => error);
  assert.ok(error instanceof PaymentError, `${error?.stack}`);
  assert.deepEqual([error.why, words.test(error.message)], [why, true], error.message);
}
