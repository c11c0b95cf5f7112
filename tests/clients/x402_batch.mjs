// npm's @x402/fetch pays through a channel of batch-settlement: `CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... CAUSEWAY_RPC=http://... node x402_batch.mjs STEP...`
//
// Steps: `pay` pays for a page; `both` does as a client that knows `exact` as well; `forget` loses all that the client knows; `refund` asks for the rest of the channel, `refund=WEI` for a part of it. Each writes a line of JSON.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchSettlementEvmScheme } from '@x402/evm/batch-settlement/client';
import { FileClientChannelStorage } from '@x402/evm/batch-settlement/client/file-storage';
import { ExactEvmScheme, toClientEvmSigner } from '@x402/evm';
import { decodePaymentResponseHeader, wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { createPublicClient, http } from 'viem';
import { amount, chainId, page, payer, token } from './paid.mjs';

const network = `eip155:${chainId}`;
const directory = process.env.CAUSEWAY_STATE ?? mkdtempSync(join(tmpdir(), 'x402-'));
// It reads the chain when it has lost what it knew.
const signer = toClientEvmSigner(payer, createPublicClient({ transport: http(process.env.CAUSEWAY_RPC) }));
const scheme = new BatchSettlementEvmScheme(signer, { storage: new FileClientChannelStorage({ directory }) });
const payingBy = (...clients) =>
  wrapFetchWithPaymentFromConfig(fetch, {
    schemes: clients.map((client) => ({ network, client })),
    spendControls: { allowedAssets: [{ network, asset: token, maxAmountPerPayment: amount }] },
  });
const get = async (paying) => {
  const response = await paying(page);
  const header = response.headers.get('PAYMENT-RESPONSE');
  return { status: response.status, body: await response.text(), settled: header && decodePaymentResponseHeader(header) };
};

const steps = {
  pay: () => get(payingBy(scheme)),
  both: () => get(payingBy(scheme, new ExactEvmScheme(payer))),
  async forget() {
    rmSync(directory, { recursive: true, force: true });
    return {};
  },
  async refund(wei) {
    return { settled: await scheme.refund(page, wei ? { amount: wei } : undefined) };
  },
};

for (const step of process.argv.slice(2)) {
  const [name, argument] = step.split('=');
  const said = await steps[name](argument).catch((error) => ({ error: error.message }));
  console.log(JSON.stringify({ step, ...said }));
}
