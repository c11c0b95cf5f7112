// Amounts, and sums that add up in front of the reader.
import { html, type TemplateResult } from "lit-html";
import { btc, sat } from "../amount.ts";

/** In BTC, with satoshis for who points at it. */
export function amount(satoshis: bigint): TemplateResult {
  return html`<span class="amount" title=${sat(satoshis)}>${btc(satoshis)}</span>`;
}

/** A line of a sum: what it is, and how much; what is taken off is negative. */
export interface Line {
  what: string;
  sat: bigint;
}

/** A sum, all eight places below each other. It is the reader's to check, so what is not exactly the sum of its lines is not drawn as one. */
export function sum(lines: readonly Line[], total: Line): TemplateResult {
  const added = lines.reduce((all, line) => all + line.sat, 0n);
  if (added !== total.sat) throw new Error(`${total.what}: the lines add up to ${added} sat, and it is ${total.sat} sat`);
  const row = ({ what, sat: satoshis }: Line) => html`<tr><th scope="row">${what}</th><td class="number" title=${sat(satoshis)}>${btc(satoshis, 8)}</td></tr>`;
  return html`<table class="sum">
    <tbody>${lines.map(row)}</tbody>
    <tfoot>${row(total)}</tfoot>
  </table>`;
}
