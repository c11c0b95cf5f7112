#!/usr/bin/env node
// npm's @x402/fetch buys a page and prints it: CAUSEWAY_PAGE, by CAUSEWAY_KEY, on chain CAUSEWAY_CHAIN, for no more than CAUSEWAY_AMOUNT wei of the wrapped coin.
import { ExactEvmScheme } from '@x402/evm';
import { wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { privateKeyToAccount } from 'viem/accounts';

const { CAUSEWAY_PAGE: page, CAUSEWAY_KEY: key, CAUSEWAY_CHAIN: chain, CAUSEWAY_AMOUNT: most } = process.env;
const [network, asset] = [`eip155:${chain}`, '0xcA05000000000000000000000000000000000008'];
const paying = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network, client: new ExactEvmScheme(privateKeyToAccount(key)) }],
  spendControls: { allowedAssets: [{ network, asset, maxAmountPerPayment: most }] },
});
const answer = await paying(page);
if (!answer.ok) throw new Error(`${page} answered ${answer.status}: ${await answer.text()}`);
process.stdout.write(await answer.text());
