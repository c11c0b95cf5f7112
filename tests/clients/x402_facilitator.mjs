// npm's @x402/core asks the facilitator, as an x402 resource server does: CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... node x402_facilitator.mjs
import assert from 'node:assert/strict';
import { HTTPFacilitatorClient } from '@x402/core/server';
import { x402Client, x402HTTPClient } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm';
import { chainId, page, payer } from './paid.mjs';

const network = `eip155:${chainId}`;
const facilitator = new HTTPFacilitatorClient({ url: new URL(page).origin });
const { kinds } = await facilitator.getSupported();
assert.deepEqual(kinds.map((kind) => [kind.x402Version, kind.scheme, kind.network]), [[2, 'exact', network], [2, 'batch-settlement', network]]);
console.log('facilitator: says what it supports');

const client = x402Client.fromConfig({ schemes: [{ network, client: new ExactEvmScheme(payer) }], spendControls: false });
const demanded = await fetch(page);
const required = new x402HTTPClient(client).getPaymentRequiredResponse((name) => demanded.headers.get(name));
const payment = await client.createPaymentPayload(required);
const verified = await facilitator.verify(payment, payment.accepted);
assert.equal(verified.isValid, true, JSON.stringify(verified));
const settled = await facilitator.settle(payment, payment.accepted);
assert.equal(settled.success, true, JSON.stringify(settled));
console.log('facilitator: verified and settled a payment');

const again = await facilitator.verify(payment, payment.accepted).catch((error) => error);
assert.equal(again.isValid ?? false, false);
const replayed = await facilitator.settle(payment, payment.accepted).catch((error) => error);
assert.equal(replayed.success ?? false, false);
console.log('facilitator: settles it once');
