// Links: to pages here, and to public explorers of Bitcoin where a network has one.
import { html, type TemplateResult } from "lit-html";
import type { BitcoinNetwork } from "../peg/answers.ts";

/** Pages are behind `#`, so that a link can be shared and any node's page understands it. */
export const route = (...parts: (string | number)[]): string => `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;

const EXPLORERS: Partial<Record<BitcoinNetwork, string>> = {
  mainnet: "https://mempool.space",
  testnet4: "https://mempool.space/testnet4",
  signet: "https://mempool.space/signet",
};

/** An id, shortened in the middle for the eye, whole for copying and for screen readers. */
export function shortened(id: string): TemplateResult {
  if (id.length <= 20) return html`<code>${id}</code>`;
  return html`<code title=${id}><span aria-hidden="true">${id.slice(0, 10)}…${id.slice(-8)}</span><span class="only-read">${id}</span></code>`;
}

export function link(parts: (string | number)[], text: unknown): TemplateResult {
  return html`<a href=${route(...parts)}>${text}</a>`;
}

/** A Bitcoin transaction; with a link to a public explorer where there is one. */
export function bitcoinTransaction(network: BitcoinNetwork, txid: string): TemplateResult {
  const explorer = EXPLORERS[network];
  return explorer
    ? html`<a href="${explorer}/tx/${txid}" rel="noopener noreferrer external" target="_blank">${shortened(txid)} <span class="only-read">(opens mempool.space)</span></a>`
    : shortened(txid);
}

/** A Bitcoin address, the same way. */
export function bitcoinAddress(network: BitcoinNetwork, address: string): TemplateResult {
  const explorer = EXPLORERS[network];
  return explorer
    ? html`<a href="${explorer}/address/${address}" rel="noopener noreferrer external" target="_blank">${shortened(address)} <span class="only-read">(opens mempool.space)</span></a>`
    : shortened(address);
}

/** A Bitcoin block, the same way. */
export function bitcoinBlock(network: BitcoinNetwork, hash: string): TemplateResult {
  const explorer = EXPLORERS[network];
  return explorer
    ? html`<a href="${explorer}/block/${hash}" rel="noopener noreferrer external" target="_blank">${shortened(hash)} <span class="only-read">(opens mempool.space)</span></a>`
    : shortened(hash);
}
