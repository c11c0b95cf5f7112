// Reading without trust: what a page or a wallet does to believe the genesis file instead of the node.
import { createPublicClient, http } from 'viem';
import { verifyFinality } from './finality.mjs';
import { assert, run, url } from './steps.mjs';

const client = createPublicClient({ transport: http(url) });
const ask = (method, params) => client.request({ method, params });
const genesis = JSON.parse(process.env.CAUSEWAY_GENESIS);
const networkId = process.env.CAUSEWAY_NETWORK;

// A node that was just started has no block yet.
while (Number(await ask('eth_blockNumber', [])) < 3) await new Promise((resolve) => setTimeout(resolve, 100));

await run('finality', {
  'a block is final by the genesis file alone': async () => {
    const answer = await ask('peg_getFinality', ['latest']);
    const hash = verifyFinality(answer, genesis, networkId);
    const block = await ask('eth_getBlockByHash', [hash, false]);
    assert.equal(Number(block.number), answer.number);
    assert.equal((await ask('peg_getInfo', [])).networkId, networkId);
  },
  'a block is final by a certificate of a later one': async () => {
    const [first, second] = await Promise.all([1, 2].map((number) => ask('peg_getBlock', [number])));
    const linked = { ...second.finality, header: first.finality.header, descendants: [second.finality.header] };
    assert.equal(verifyFinality(linked, genesis, networkId), first.finality.hash);
    assert.throws(() => verifyFinality({ ...linked, descendants: [first.finality.header] }, genesis, networkId), /does not follow/);
  },
  'what was changed shows nothing': async () => {
    const answer = await ask('peg_getFinality', ['0x1']);
    const refused = (changed, words, network = networkId) =>
      assert.throws(() => verifyFinality({ ...answer, ...changed }, genesis, network), words);
    refused({ header: (await ask('peg_getFinality', ['0x2'])).header }, /another block/);
    // The bits of who signed stand before the 48 bytes of the signature.
    const bits = answer.certificate.length - 98;
    const with_bits = (text) => answer.certificate.slice(0, bits) + text + answer.certificate.slice(bits + 2);
    assert.equal(answer.certificate.slice(bits, bits + 2), '07');
    refused({ certificate: with_bits('03') }, /2 of 4 signed/);
    refused({ certificate: with_bits('0f') }, /bad signature/);
    refused({}, /bad signature/, `0x${'11'.repeat(32)}`);
  },
});
