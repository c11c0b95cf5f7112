// Coins: amounts of the sidechain, in wei, as bitcoin. What is less than a satoshi is said in wei.
import { html, type TemplateResult } from "lit-html";
import { WEI_PER_SAT, btc } from "../amount.ts";

export function coins(wei: bigint): TemplateResult {
  const [sat, rest] = [wei / WEI_PER_SAT, wei % WEI_PER_SAT];
  return html`<span class="amount" title="${wei} wei">${sat || !rest ? btc(sat) : ""}${rest ? `${sat ? " and " : ""}${rest} wei` : ""}</span>`;
}
