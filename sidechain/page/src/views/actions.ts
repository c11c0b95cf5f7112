// What the owner of a request can do. Here by the commands that do it; nothing of it needs this page.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context } from "../app/view.ts";
import { amount } from "../draw/amount.ts";
import { duration, moment } from "../draw/time.ts";
import { type Deposit, type Withdrawal, sats } from "../peg/answers.ts";
import { reclaimableFrom, refundableAt } from "../peg/waits.ts";

/** What can be acted on. */
export type Request =
  | { is: "deposit"; deposit: Deposit; address: string | undefined }
  /** `chargeSat`: what it costs at the present rate. */
  | { is: "withdrawal"; withdrawal: Withdrawal; chargeSat: bigint }
  /** Coins that wait in the bridge for an account. */
  | { is: "claimable"; account: string; amountSat: bigint }
  /** An address that nobody paid, as far as the ledger knows. */
  | { is: "address"; address: string };

/** One thing to do; `urgent`: money waits for it. */
interface Act {
  urgent: boolean;
  what: unknown;
  command: string;
}

export function actions(context: Context, request: Request): TemplateResult | typeof nothing {
  const acts = actsOf(context, request);
  if (!acts.length) return nothing;
  return html`<section class="acts ${acts.some(({ urgent }) => urgent) ? "notice warn" : ""}">
    <p><strong>What its owner can do</strong></p>
    <ul>
      ${acts.map(({ what, command }) => html`<li>${what}<br /><code>${command}</code></li>`)}
    </ul>
  </section>`;
}

function actsOf(context: Context, request: Request): Act[] {
  const { parameters, bitcoinTip } = context.info();
  switch (request.is) {
    case "deposit": {
      const { deposit, address = "ADDRESS" } = request;
      if (deposit.status !== "proven") return [];
      const from = reclaimableFrom(deposit.height, parameters);
      const isOpen = bitcoinTip.height >= from;
      const what = isOpen
        ? html`${amount(sats(deposit.amountSat))} can be taken back on Bitcoin since block ${from}, with the record of the address, unless a sweep is first:`
        : html`If nobody sweeps it, it can be taken back on Bitcoin from block ${from} on (now ${bitcoinTip.height}), with the record of the address:`;
      return [{ urgent: isOpen, what, command: `causeway reclaim ${address} --to YOUR_BITCOIN_ADDRESS` }];
    }
    case "address":
      return [
        {
          urgent: false,
          what: html`What was paid to it and is not swept, also what is too small, can be taken back ${parameters.reclaimDelay} Bitcoin blocks after its payment, with the record of the address:`,
          command: `causeway reclaim ${request.address} --to YOUR_BITCOIN_ADDRESS`,
        },
      ];
    case "withdrawal":
      return ofWithdrawal(context, request.withdrawal, request.chargeSat);
    case "claimable":
      return request.amountSat > 0n ? [{ urgent: true, what: html`${amount(request.amountSat)} wait for this account: their recipient's code refused them, or they came back.`, command: "causeway claim" }] : [];
  }
}

function ofWithdrawal(context: Context, withdrawal: Withdrawal, chargeSat: bigint): Act[] {
  const { id, status, maxFeeSat } = withdrawal;
  if (status !== "queued" && status !== "tied") return [];
  const acts: Act[] = [];
  const at = refundableAt(withdrawal, context.info().parameters);
  const left = at - context.now();
  const isPoor = sats(maxFeeSat) < chargeSat;
  if (isPoor) acts.push({ urgent: true, what: html`Its maximum is less than what it costs now. Raise it:`, command: `causeway raise ${id} --max-fee '${chargeSat} sat'` });
  if (status === "queued") {
    if (left <= 0) acts.push({ urgent: true, what: html`It has waited too long: anybody can give it back to its owner.`, command: `causeway refund ${id}` });
    acts.push({ urgent: false, what: html`Take it back: the coins are at once where they came from. Possible while it is queued.`, command: `causeway cancel ${id}` });
  }
  if (!isPoor) acts.push({ urgent: false, what: html`Raise the most that it pays, should Bitcoin become dearer:`, command: `causeway raise ${id} --max-fee AMOUNT` });
  if (status === "queued" && left > 0) acts.push({ urgent: false, what: html`If it is still queued in ${duration(left)} (${moment(at)}), anybody can give it back:`, command: `causeway refund ${id}` });
  return acts;
}
