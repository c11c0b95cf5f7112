// npm's @x402/fetch pays for a page: `CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... node x402_fetch.mjs`
import assert from 'node:assert/strict';
import { ExactEvmScheme } from '@x402/evm';
import { decodePaymentResponseHeader, wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { amount, chainId, page, payer, text, token } from './paid.mjs';

const network = `eip155:${chainId}`;
const paying = (most) =>
  wrapFetchWithPaymentFromConfig(fetch, {
    schemes: [{ network, client: new ExactEvmScheme(payer) }],
    // It pays in tokens that it does not know only if it is told to.
    spendControls: { allowedAssets: [{ network, asset: token, maxAmountPerPayment: most }] },
  });

const response = await paying(amount)(page);
assert.equal(response.status, 200);
assert.equal(await response.text(), text);
const settled = decodePaymentResponseHeader(response.headers.get('PAYMENT-RESPONSE'));
assert.equal(settled.success, true);
assert.equal(settled.network, network);
assert.equal(settled.payer.toLowerCase(), payer.address.toLowerCase());
assert.match(settled.transaction, /^0x[0-9a-f]{64}$/);
console.log('x402: paid and got the page');

await assert.rejects(paying(String(BigInt(amount) - 1n))(page), /spendControls/);
console.log('x402: pays no more than its limit');
