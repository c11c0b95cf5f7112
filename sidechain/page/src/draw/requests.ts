// Lists of deposits and withdrawals, and how each stands in a word.
import { html, type TemplateResult } from "lit-html";
import { type Deposit, type DepositStatus, type Withdrawal, type WithdrawalStatus, sats } from "../peg/answers.ts";
import { amount } from "./amount.ts";
import { link, shortened } from "./links.ts";

/** In words that who never read the documents understands; `tone` is the colour. */
const DEPOSIT: Record<DepositStatus, { word: string; tone: "good" | "going" | "bad" }> = {
  proven: { word: "proven, to be swept", tone: "going" },
  swept: { word: "swept, to be minted", tone: "going" },
  minted: { word: "minted", tone: "good" },
  gone: { word: "gone", tone: "bad" },
};

const WITHDRAWAL: Record<WithdrawalStatus, { word: string; tone: "good" | "going" | "bad" }> = {
  queued: { word: "queued", tone: "going" },
  tied: { word: "on its way", tone: "going" },
  paid: { word: "paid", tone: "good" },
  cancelled: { word: "cancelled: coins are back", tone: "good" },
  refunded: { word: "given back", tone: "good" },
};

export function chip({ word, tone }: { word: string; tone: string }): TemplateResult {
  return html`<span class="chip ${tone}">${word}</span>`;
}

export const depositChip = (status: DepositStatus): TemplateResult => chip(DEPOSIT[status]);
export const withdrawalChip = (status: WithdrawalStatus): TemplateResult => chip(WITHDRAWAL[status]);

/** How it stands comes before whose it is: on a phone the last columns are out of sight. */
export function deposits(list: readonly (Deposit & { address?: string })[], label = "Deposits"): TemplateResult {
  if (!list.length) return html`<p class="none">None yet.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr><th scope="col">Bitcoin output</th><th scope="col">Paid</th><th scope="col">Stands</th><th scope="col">Coins</th><th scope="col">To</th></tr></thead>
      <tbody>
        ${list.map(
          (deposit) => html`<tr>
            <td>${link(["deposit", `${deposit.txid}:${deposit.vout}`], shortened(`${deposit.txid}:${deposit.vout}`))}</td>
            <td class="number">${amount(sats(deposit.amountSat))}</td>
            <td>${depositChip(deposit.status)}</td>
            <td class="number">${deposit.mintedSat === null ? "–" : amount(sats(deposit.mintedSat))}</td>
            <td>${link(["account", deposit.recipient], shortened(deposit.recipient))}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

export function withdrawals(list: readonly Withdrawal[]): TemplateResult {
  if (!list.length) return html`<p class="none">None yet.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Withdrawals">
    <table>
      <thead><tr><th scope="col">Number</th><th scope="col">Taken in</th><th scope="col">Stands</th><th scope="col">By</th></tr></thead>
      <tbody>
        ${list.map(
          (withdrawal) => html`<tr>
            <td>${link(["withdrawal", withdrawal.id], `Withdrawal ${withdrawal.id}`)}</td>
            <td class="number">${amount(sats(withdrawal.amountSat))}</td>
            <td>${withdrawalChip(withdrawal.status)}</td>
            <td>${link(["account", withdrawal.owner], shortened(withdrawal.owner))}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
