// The form of who takes bitcoin out: where to, how much, the most that it may cost and what that means in time; and what will be signed, in words.
import { html, nothing, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";
import { WEI_PER_SAT, coinDigits } from "../amount.ts";
import { floorFee, withdrawalBill, withdrawalCharge } from "../bitcoin/fee.ts";
import type { Payee } from "../bitcoin/script.ts";
import { amount, sum } from "../draw/amount.ts";
import { shortened } from "../draw/links.ts";
import { type Info, type Limits, type Quote, sats } from "../peg/answers.ts";
import type { Field, Order, Read, Typed } from "../peg/withdrawal_form.ts";
import type { Call } from "../wallet/wallet.ts";

/** The rate at which the slider ends, 300 sat/vB: few days asked for more. */
const HIGHEST_RATE = 300_000n;
/** Longer than any payment link that is read. */
const MOST_CHARACTERS = 400;
/** Bytes of a payout beside its script: amount and length of the output, and its part of what all share (docs/ledger.md, "Fees"). */
const BESIDE_SCRIPT = 44;

/** What the form shows, and whom it tells of what is done with it. */
export interface Shown {
  info: Info;
  account: string | undefined;
  /** Wei. */
  balance: bigint | undefined;
  quote: Quote | undefined;
  limits: Limits | undefined;
  /** Of the last payouts. */
  rates: readonly number[];
  typed: Typed;
  read: Read;
  /** Whether also what is missing is a fault: somebody wanted to go on. */
  isComplete: boolean;
  type: (field: Field, text: string) => void;
  useAll: () => void;
  submit: (event: SubmitEvent) => void;
}

export function drawForm(shown: Shown): TemplateResult {
  const { account, quote, read, info } = shown;
  return html`<form @submit=${shown.submit} novalidate class="flow">
    ${addressField(shown)} ${amountField(shown)} ${read.payee && quote ? slider(shown, read.payee, quote) : nothing} ${read.order && quote ? bill(read.order, quote, info) : nothing}
    <p><button ?disabled=${!account || !quote}>Look at what will be signed</button></p>
  </form>`;
}

function faultOf({ typed, read, isComplete }: Shown, name: Field): string | undefined {
  return isComplete || typed[name] || (name === "amount" && typed.isAll) ? read.faults[name] : undefined;
}

const textOf = (event: Event): string => (event.currentTarget as HTMLInputElement).value.slice(0, MOST_CHARACTERS);

function addressField(shown: Shown): TemplateResult {
  const fault = faultOf(shown, "address");
  const { typed, read, type } = shown;
  return html`<p class="field">
    <label for="address">Bitcoin address that is paid</label>
    <input id="address" class="wide" .value=${live(typed.address)} maxlength=${MOST_CHARACTERS} autocomplete="off" spellcheck="false" autocapitalize="off" aria-invalid=${fault ? "true" : "false"} aria-describedby="address-fault" @input=${(event: Event) => type("address", textOf(event))} />
    ${read.askedSat === undefined ? nothing : html`<small>The link asks for ${amount(read.askedSat)}: so much arrives if the amount below is higher by the fees.</small>`}
    <span id="address-fault" class="fault">${fault ?? nothing}</span>
  </p>`;
}

function amountField(shown: Shown): TemplateResult {
  const fault = faultOf(shown, "amount");
  const { account, balance, limits, typed, read, type, useAll } = shown;
  const { amountSat } = read;
  const isBeyondWindow = limits !== undefined && amountSat !== undefined && sats(limits.windowLeftSat) < amountSat;
  return html`<p class="field">
    <label for="amount">Amount, in BTC, fees included</label>
    <span class="row">
      <input id="amount" class="wide" .value=${live(typed.isAll && amountSat !== undefined ? coinDigits(amountSat) : typed.amount)} placeholder="0.05" maxlength="40" autocomplete="off" inputmode="decimal" aria-invalid=${fault ? "true" : "false"} aria-describedby="amount-hint amount-fault" @input=${(event: Event) => type("amount", textOf(event))} />
      <button type="button" class="quiet" ?disabled=${balance === undefined} @click=${useAll}>All</button>
    </span>
    <small id="amount-hint">${balance === undefined ? (account ? "Asking what your account has…" : "Connect a wallet to see what it has.") : html`Your account has ${amount(balance / WEI_PER_SAT)}.`} ${isBeyondWindow ? html`More than ${amount(sats(limits.windowLeftSat))} is not begun at once now: the rest waits.` : nothing}</small>
    <span id="amount-fault" class="fault">${fault ?? nothing}</span>
  </p>`;
}

function slider(shown: Shown, to: Payee, quote: Quote): TemplateResult {
  const fault = faultOf(shown, "maximum");
  const { info, read, type } = shown;
  const floor = floorFee(to.script.length, info.parameters);
  const end = withdrawalCharge(to.script.length, HIGHEST_RATE, info.parameters).totalSat;
  const most = read.maxFeeSat ?? floor;
  return html`<p class="field">
    <label for="maximum">The most that it may cost: <output for="maximum">${amount(most)}</output></label>
    <input id="maximum" type="range" class="wide" min=${floor.toString()} max=${(most > end ? most : end).toString()} .value=${live(most.toString())} aria-invalid=${fault ? "true" : "false"} aria-describedby="maximum-hint maximum-fault" @input=${(event: Event) => type("maximum", textOf(event))} />
    <small id="maximum-hint">${meaning(shown, to, most, quote)}</small>
    <span id="maximum-fault" class="fault">${fault ?? nothing}</span>
  </p>`;
}

/** The maximum that is filled in is three times what its rate makes. */
const RATE_WORDS = "A node that names too high a rate fills in too high a maximum: compare the rate with your Bitcoin wallet's.";

/** What a maximum means in time, in honest words. */
function meaning({ info: { parameters, bitcoinNetwork }, rates }: Shown, to: Payee, most: bigint, quote: Quote): TemplateResult {
  const now = withdrawalCharge(to.script.length, BigInt(quote.rate), parameters).totalSat;
  // The highest rate at which it is still paid.
  const perVb = (most - sats(parameters.pegOutFeeSat)) / BigInt(to.script.length + BESIDE_SCRIPT);
  const [least, highest] = [Math.min(...rates), Math.max(...rates)];
  const range = rates.length ? ` The last ${rates.length} payouts took ${rateText(least)}${least === highest ? "" : ` to ${rateText(highest)}`}.` : "";
  const soon = bitcoinNetwork === "regtest" ? "mostly in the next block" : "mostly within 10 to 20 minutes";
  return most >= now
    ? html`Enough while Bitcoin takes up to about ${perVb.toString()} sat/vB; now it is ${rateText(quote.rate)} by this node's word: ${soon}.${range} You pay what it costs, not the maximum, and can raise it later. ${RATE_WORDS}`
    : html`<strong>Less than it costs now</strong> (${amount(now)}, by this node's word): it waits until Bitcoin takes no more than about ${perVb.toString()} sat/vB, which may be hours or never.${range} You can raise it later, or take it back while it waits.`;
}

function bill({ payee, amountSat, maxFeeSat }: Order, { rate }: Quote, { parameters }: Info): TemplateResult {
  const made = withdrawalBill(amountSat, maxFeeSat, BigInt(rate), payee, parameters);
  return html`${sum(
    [
      { what: "Leaves your account", sat: made.sentSat },
      { what: `Bitcoin's part of the payout, at ${rateText(rate)}`, sat: -made.bitcoinSat },
      { what: "Fee of the peg", sat: -made.pegSat },
    ],
    { what: "Arrives on Bitcoin, at the present rate", sat: made.receivedSat },
  )}
    <p>At least ${amount(amountSat - maxFeeSat)} arrives, whatever Bitcoin takes on that day.</p>`;
}

/** `gasWei`: the most that the gas may cost. */
export function drawConfirming({ payee, address, amountSat, maxFeeSat }: Order, call: Call, gasWei: bigint, sign: () => void, back: () => void): TemplateResult {
  return html`<section class="flow">
    <h2>What you are about to sign</h2>
    <dl class="facts">
      <dt>From your account</dt><dd>${shortened(call.from)}</dd>
      <dt>Pay on Bitcoin</dt><dd><code class="address">${address}</code> <span class="quiet">(${payee.template})</span></dd>
      <dt>Leaves your account</dt><dd>${amount(amountSat)}</dd>
      <dt>Costs at most</dt><dd>${amount(maxFeeSat)}, and gas here, about ${amount((gasWei + WEI_PER_SAT - 1n) / WEI_PER_SAT)} at most</dd>
      <dt>Arrives at least</dt><dd>${amount(amountSat - maxFeeSat)}</dd>
      <dt>The wallet shows</dt><dd>a call of <code>${call.to}</code> with ${amount(call.value / WEI_PER_SAT)}: the contract Bridge, function withdraw</dd>
    </dl>
    <p>Look at the address once more: a payment on Bitcoin cannot be taken back. Compare its first and last letters with where you have it from.</p>
    <p class="row">
      <button type="button" @click=${sign}>Sign in the wallet</button>
      <button type="button" class="quiet" @click=${back}>Back</button>
    </p>
  </section>`;
}

const rateText = (rate: number) => `${rate / 1000} sat/vB`;
