// npm's @x402/core and @x402/evm ask the facilitator for a channel of another server: CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... node x402_batch_facilitator.mjs
import assert from 'node:assert/strict';
import { HTTPFacilitatorClient } from '@x402/core/server';
import { BatchSettlementEvmScheme } from '@x402/evm/batch-settlement/client';
import { amount, chainId, page, payer, token } from './paid.mjs';

const network = `eip155:${chainId}`;
const scheme = 'batch-settlement';
const facilitator = new HTTPFacilitatorClient({ url: new URL(page).origin });
const { kinds } = await facilitator.getSupported();
const kind = kinds.find((kind) => kind.scheme === scheme);
assert.equal(kind.network, network);
const { receiverAuthorizer } = kind.extra;

// A resource server with the same payee, and a delay of its own.
const wanted = {
  scheme, network, amount, asset: token, payTo: receiverAuthorizer, maxTimeoutSeconds: 300,
  extra: { receiverAuthorizer, withdrawDelay: 900, name: 'Causeway Wrapped BTC', version: '1' },
};
const client = new BatchSettlementEvmScheme(payer);
const payment = async (change = {}) => ({ ...(await client.createPaymentPayload(2, { ...wanted, ...change })), accepted: { ...wanted, ...change } });
const refused = async (asked, requirements, reason) => {
  const said = await facilitator.settle(asked, requirements).catch((error) => error);
  assert.equal(said.errorReason, `invalid_batch_settlement_evm_${reason}`, JSON.stringify(said));
};

const deposit = await payment();
const verified = await facilitator.verify(deposit, wanted);
assert.equal(verified.isValid, true, JSON.stringify(verified));
assert.equal(verified.extra.balance, '0');
const deposited = await facilitator.settle(deposit, wanted);
assert.equal(deposited.success, true, JSON.stringify(deposited));
assert.equal(deposited.extra.channelState.balance, String(5n * BigInt(amount)));
await refused(deposit, wanted, 'deposit_simulation_failed');
console.log('facilitator: brought a deposit, once');

// Its server claims what the voucher promised, and is paid.
const { channelConfig, voucher } = deposit.payload;
const server = (payload) => ({ x402Version: 2, accepted: { ...wanted, amount: '0', extra: {} }, payload });
const row = { voucher: { channel: channelConfig, maxClaimableAmount: voucher.maxClaimableAmount }, signature: voucher.signature };
const claim = (totalClaimed) => server({ type: 'claim', claims: [{ ...row, totalClaimed }] });
await refused(claim('1'), claim('1').accepted, 'nothing_to_settle');
await refused(claim(String(BigInt(amount) + 1n)), claim('1').accepted, 'cumulative_exceeds_balance');
const claimed = await facilitator.settle(claim(amount), claim(amount).accepted);
assert.equal(claimed.success, true, JSON.stringify(claimed));
const settle = server({ type: 'settle', receiver: receiverAuthorizer, token });
const settled = await facilitator.settle(settle, settle.accepted);
assert.deepEqual([settled.success, settled.amount], [true, amount], JSON.stringify(settled));
await refused(settle, settle.accepted, 'nothing_to_settle');
console.log('facilitator: claimed a voucher, and paid the payee');

// A payer cannot take its money back by the facilitator: what it owes elsewhere is not known there.
const refund = { ...deposit, payload: { type: 'refund', channelConfig, voucher, amount: '1' } };
await refused(refund, wanted, 'authorizer_address_mismatch');
// This server's own channels have their ledger here.
const own = (await (await fetch(page)).headers.get('PAYMENT-REQUIRED'));
const { withdrawDelay } = JSON.parse(Buffer.from(own, 'base64')).accepts.find((one) => one.scheme === scheme).extra;
const extra = { ...wanted.extra, withdrawDelay };
await refused(await payment({ extra }), { ...wanted, extra }, 'withdraw_delay_out_of_range');
console.log('facilitator: gives nothing back, and leaves its own channels alone');
