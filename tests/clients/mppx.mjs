// npm's mppx pays for a page: `CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... node mppx.mjs`
import assert from 'node:assert/strict';
import { Receipt } from 'mppx';
import { Mppx } from 'mppx/client';
import { evm } from 'mppx/evm/client';
import { amount, chainId, page, payer, text, token } from './paid.mjs';

const paying = (most) =>
  Mppx.create({
    polyfill: false,
    methods: [
      evm({
        account: payer,
        networks: [chainId],
        currencies: [token],
        maxAtomicAmount: most,
        authorization: { name: 'Causeway Wrapped BTC', version: '1' },
      }),
    ],
  });

const response = await paying(amount).fetch(page);
assert.equal(response.status, 200);
assert.equal(await response.text(), text);
const receipt = Receipt.deserialize(response.headers.get('Payment-Receipt'));
assert.equal(receipt.status, 'success');
assert.equal(receipt.method, 'evm');
assert.match(receipt.reference, /^0x[0-9a-f]{64}$/);
console.log('mppx: paid and got the page');

const posted = await paying(amount).fetch(page, { method: 'POST', body: '{"year":2026}', headers: { 'content-type': 'application/json' } });
assert.equal(posted.status, 200);
console.log('mppx: paid for a request with a body');

await assert.rejects(paying(String(BigInt(amount) - 1n)).fetch(page), /exceeds maxAtomicAmount/);
console.log('mppx: pays no more than its limit');
