// npm's mppx with a method for `evm/session`, which it has not: the extension point is `Method.toClient`. It pays by draft-evm-session-00 on channels that the payee opens.
// `CAUSEWAY_PAGE=http://... CAUSEWAY_EVENTS=http://... CAUSEWAY_KEY=0x... node mpp_session.mjs`
import assert from 'node:assert/strict';
import { Credential, Method, Receipt } from 'mppx';
import { Mppx } from 'mppx/client';
import { evm } from 'mppx/evm/client';
import { bytesToHex, encodeAbiParameters, getAddress, keccak256 } from 'viem';
import { amount, chainId, page, payer, text, token } from './paid.mjs';

const eventsPage = process.env.CAUSEWAY_EVENTS;
const deposit = BigInt(amount) * 400n;
const random = () => bytesToHex(crypto.getRandomValues(new Uint8Array(32)));
const zero = '0x0000000000000000000000000000000000000000';

/** One channel to one payee. */
class Channel {
  constructor(payer) {
    this.payer = payer;
    this.salt = random();
    this.total = 0n;
  }

  async sign(total) {
    return this.payer.signTypedData({
      domain: { name: 'EVM Payment Channel', version: '1', chainId, verifyingContract: this.escrow },
      types: { Voucher: [{ name: 'channelId', type: 'bytes32' }, { name: 'cumulativeAmount', type: 'uint128' }] },
      primaryType: 'Voucher',
      message: { channelId: this.id, cumulativeAmount: total },
    });
  }

  async authorize(value) {
    const authorization = {
      from: this.payer.address,
      to: this.escrow,
      value: value.toString(),
      validAfter: '0',
      validBefore: Math.floor(Date.now() / 1000 + 200).toString(),
      nonce: random(),
    };
    const signature = await this.payer.signTypedData({
      domain: { name: 'Causeway Wrapped BTC', version: '1', chainId, verifyingContract: token },
      types: {
        TransferWithAuthorization: [
          { name: 'from', type: 'address' },
          { name: 'to', type: 'address' },
          { name: 'value', type: 'uint256' },
          { name: 'validAfter', type: 'uint256' },
          { name: 'validBefore', type: 'uint256' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'TransferWithAuthorization',
      message: { ...authorization, value, validAfter: 0n, validBefore: BigInt(authorization.validBefore) },
    });
    return { authorization: { type: 'eip-3009', ...authorization }, signature };
  }

  /** Opens the channel by the challenge that asks for it, and pays the first unit. */
  async open(challenge) {
    const { currency, recipient, methodDetails } = challenge.request;
    assert.equal(methodDetails.feePayer, true);
    assert.equal(methodDetails.chainId, chainId);
    assert.equal(getAddress(currency), getAddress(token));
    this.challenge = challenge;
    this.escrow = getAddress(methodDetails.escrowContract);
    const terms = ['address', 'address', 'address', 'bytes32', 'address', 'address', 'uint256'].map((type) => ({ type }));
    this.id = keccak256(
      encodeAbiParameters(terms, [this.payer.address, getAddress(recipient), token, this.salt, zero, this.escrow, BigInt(chainId)]),
    );
    this.total = BigInt(challenge.request.amount);
    return {
      action: 'open',
      type: 'transaction',
      channelId: this.id,
      ...(await this.authorize(deposit)),
      cumulativeAmount: this.total.toString(),
      voucherSignature: await this.sign(this.total),
      salt: this.salt,
    };
  }

  async voucher(total, action = 'voucher') {
    this.total = total > this.total ? total : this.total;
    return { action, channelId: this.id, cumulativeAmount: total.toString(), signature: await this.sign(total) };
  }

  /** The credential that goes with a request for whatever the challenge asks. */
  async pay(challenge) {
    this.challenge = challenge;
    if (!this.id) return this.open(challenge);
    return this.voucher(this.total + BigInt(challenge.request.amount));
  }

  credential(payload) {
    const source = `did:pkh:eip155:${chainId}:${this.payer.address}`;
    return Credential.serialize(Credential.from({ challenge: this.challenge, payload, source }));
  }
}

/** A method of mppx. */
const session = (channel) =>
  Method.toClient(
    { name: 'evm', intent: 'session', schema: {} },
    { createCredential: async ({ challenge }) => channel.credential(await channel.pay(challenge)) },
  );

const channel = new Channel(payer);
const mppx = Mppx.create({ polyfill: false, methods: [session(channel)] });
const receiptOf = (response) => Receipt.deserialize(response.headers.get('Payment-Receipt'));
const charged = BigInt(amount);

for (let count = 1n; count <= 3n; count += 1n) {
  const response = await mppx.fetch(page);
  assert.equal(response.status, 200, await response.clone().text());
  assert.equal(await response.text(), text);
  const receipt = receiptOf(response);
  assert.equal(receipt.intent, 'session');
  assert.equal(receipt.channelId, channel.id);
  assert.equal(receipt.acceptedCumulative, (count * charged).toString());
  assert.equal(receipt.spent, (count * charged).toString());
}
console.log('mppx: opened a channel and paid for three pages');

/** A voucher on a connection of its own. */
const update = async (url, payload) => {
  const response = await fetch(url, { method: 'HEAD', headers: { authorization: channel.credential(payload) } });
  assert.equal(response.status, 200);
  return receiptOf(response);
};
const little = charged / 12n;
const ahead = await update(page, await channel.voucher(channel.total + little));
assert.equal(ahead.spent, (3n * charged).toString());
assert.equal(ahead.acceptedCumulative, (3n * charged + little).toString());
const again = await update(page, await channel.voucher(charged));
assert.equal(again.acceptedCumulative, ahead.acceptedCumulative);
console.log('mppx: paid ahead by HEAD, and a falling total changed nothing');

/** Events of an answer, as they come. */
async function* events(body) {
  let waiting = '';
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    waiting += part;
    for (let end = waiting.indexOf('\n\n'); end >= 0; end = waiting.indexOf('\n\n')) {
      const lines = waiting.slice(0, end).split('\n');
      waiting = waiting.slice(end + 2);
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      yield { name: field('event') ?? 'message', data: field('data') };
    }
  }
}

if (eventsPage) {
  // Another price, so another challenge; the same channel. It pays for as many events as `pays`, then stops.
  const stream = async (pays) => {
    const answer = await mppx.fetch(eventsPage);
    assert.equal(answer.status, 200);
    assert.equal(receiptOf(answer).units, 0);
    const seen = { message: 0, 'payment-need-voucher': 0 };
    let last;
    for await (const { name, data } of events(answer.body)) {
      seen[name] = (seen[name] ?? 0) + 1;
      if (name === 'payment-receipt') last = JSON.parse(data);
      if (name !== 'payment-need-voucher') continue;
      const need = JSON.parse(data);
      assert.equal(need.channelId, channel.id);
      assert.ok(BigInt(need.requiredCumulative) > BigInt(need.acceptedCumulative));
      if (seen['payment-need-voucher'] <= pays) await update(eventsPage, await channel.voucher(BigInt(need.requiredCumulative)));
    }
    assert.equal(last.units, seen.message);
    return seen;
  };
  const all = await stream(100);
  assert.equal(all.message, 20);
  assert.ok(all['payment-need-voucher'] > 0);
  console.log('mppx: read a stream of twenty events and paid as it went');
  const some = await stream(3);
  assert.ok(some.message < 20, `${some.message} events`);
  console.log('mppx: the stream stopped when the money stopped');
}

// The challenge of the page, not that of the stream, whose price is another.
assert.equal((await mppx.fetch(page)).status, 200);
const { authorization, signature } = await channel.authorize(deposit);
const more = await channel.voucher(channel.total + charged);
await update(page, { ...more, deposit: { action: 'topUp', authorization, signature } });
console.log('mppx: topped up with a voucher');

const closing = await fetch(page, { headers: { authorization: channel.credential(await channel.voucher(channel.total, 'close')) } });
assert.equal(closing.status, 200, await closing.clone().text());
assert.match(receiptOf(closing).reference, /^0x[0-9a-f]{64}$/);
assert.notEqual(receiptOf(closing).reference, channel.id);
const late = await fetch(page, { headers: { authorization: channel.credential(await channel.voucher(channel.total)) } });
assert.equal(late.status, 410);
console.log('mppx: closed the channel');

// Whoever knows charge alone pays by charge where both are offered.
const charging = Mppx.create({
  polyfill: false,
  methods: [evm({ account: payer, networks: [chainId], currencies: [token], maxAtomicAmount: amount, authorization: { name: 'Causeway Wrapped BTC', version: '1' } })],
});
const byCharge = await charging.fetch(page);
assert.equal(byCharge.status, 200);
assert.equal(receiptOf(byCharge).intent, undefined);
console.log('mppx: charge is paid as before');
