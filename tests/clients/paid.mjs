// What the scripts of paying clients are told: the page to pay for, who pays, in what, and what the page says.
import { privateKeyToAccount } from 'viem/accounts';

const need = (name) => process.env[name] ?? (console.error(`set ${name}`), process.exit(2));

/** A page that costs something. */
export const page = need('CAUSEWAY_PAGE');
/** What is on it. */
export const text = need('CAUSEWAY_TEXT');
/** What it costs, in wei of the token. */
export const amount = need('CAUSEWAY_AMOUNT');
export const chainId = Number(need('CAUSEWAY_CHAIN'));
export const payer = privateKeyToAccount(need('CAUSEWAY_KEY'));
export const token = '0xcA05000000000000000000000000000000000008';
