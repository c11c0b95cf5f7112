// The form of who brings bitcoin in: its fields, each with its fault as soon as it is typed, and what comes of an amount, to the satoshi.
import { html, nothing, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";
import { depositBill, depositCharge, enoughUpTo } from "../bitcoin/fee.ts";
import { drawPassphrase } from "../bitcoin/passphrase.ts";
import { sat as satoshis } from "../amount.ts";
import { amount, sum } from "../draw/amount.ts";
import { counted } from "../draw/time.ts";
import { type Info, type Quote, sats } from "../peg/answers.ts";
import type { Field, Read, Typed } from "../peg/deposit_form.ts";

/** What the form shows, and whom it tells of what is done with it. */
export interface Shown {
  info: Info;
  account: string | undefined;
  quote: Quote | undefined;
  typed: Typed;
  read: Read;
  /** Whether also what is missing is a fault: somebody wanted to go on. */
  isComplete: boolean;
  type: (field: Field, text: string) => void;
  submit: (event: SubmitEvent) => void;
}

/** Longer than any account, amount or key. */
const MOST_CHARACTERS = 200;
const MOST_OF_PASSPHRASE = 1_000;
/** Minutes between Bitcoin's blocks, on average. */
const BLOCK_MINUTES = 10;

export function drawForm(shown: Shown): TemplateResult {
  const { info, account, quote, typed, read } = shown;
  const { amountSat, maxFeeSat, usualMaxFeeSat } = read;
  return html`<form @submit=${shown.submit} novalidate class="flow">
    ${field(shown, "recipient", "Who gets the coins", account ? `Your account ${account}, unless you type another.` : "An account of the sidechain, 0x…")}
    ${read.wantsClaimant ? field(shown, "claimant", "Who may fetch them, should the recipient's code refuse them", "An account of yours.") : nothing}
    ${field(shown, "amount", "How much you will pay, in BTC", `For the link and the sum below; the address takes any amount from ${satoshis(sats(info.parameters.minDepositSat))} on, as often as you like.`, "0.1")}
    ${quote && amountSat !== undefined && maxFeeSat !== undefined && !read.faults.amount ? bill(amountSat, maxFeeSat, quote, info) : price(quote, info)}
    ${typed.ownKey ? nothing : passphrase(shown)}
    <details>
      <summary>More choices</summary>
      ${field(shown, "maximum", "The most that the sweep may cost, in sat", usualMaxFeeSat === undefined ? "" : `Without a word of yours ${usualMaxFeeSat} sat, by the rate that this node names: compare it with your Bitcoin wallet's. It cannot be raised later: what is not swept is yours again after ${counted(info.parameters.reclaimDelay, "Bitcoin block")}.`)}
      ${field(shown, "ownKey", "A key of your own that can take the deposit back", "x-only, 64 hexadecimal digits; of a hardware wallet for example. Else one is made here.")}
    </details>
    <p><button ?disabled=${!quote}>Make the record</button></p>
    <p class="quiet">The bridge is not audited: use it with bitcoin that you can lose.</p>
  </form>`;
}

/** Marks the first field at fault for who reads by eye or by ear, and opens what it is folded into. */
export function toFirstFault(form: HTMLFormElement): void {
  const wrong = form.querySelector<HTMLElement>("[aria-invalid=true]");
  wrong?.closest("details")?.setAttribute("open", "");
  wrong?.focus();
}

function faultOf({ read, isComplete }: Shown, name: Field): string | undefined {
  const fault = read.faults[name];
  return fault && (isComplete || !fault.isMissing) ? fault.words : undefined;
}

function field(shown: Shown, name: Field, label: string, hint: string, placeholder = ""): TemplateResult {
  return html`<p class="field">
    <label for=${name}>${label}</label>
    ${input(shown, name, MOST_CHARACTERS, placeholder)}
    <small id="${name}-hint">${hint}</small>
    <span id="${name}-fault" class="fault">${faultOf(shown, name) ?? nothing}</span>
  </p>`;
}

function passphrase(shown: Shown): TemplateResult {
  return html`<p class="field">
    <label for="passphrase">A passphrase for the key that can take the deposit back</label>
    <span class="row">
      ${input(shown, "passphrase", MOST_OF_PASSPHRASE)}
      <button type="button" class="quiet" @click=${() => shown.type("passphrase", drawPassphrase())}>Draw one</button>
    </span>
    <small id="passphrase-hint">Write it down: nobody can reset it. It is needed only if the federation does not sweep your deposit.</small>
    <span id="passphrase-fault" class="fault">${faultOf(shown, "passphrase") ?? nothing}</span>
  </p>`;
}

function input(shown: Shown, name: Field, most: number, placeholder = ""): TemplateResult {
  const type = (event: Event) => shown.type(name, (event.currentTarget as HTMLInputElement).value.slice(0, most));
  return html`<input id=${name} class="wide" .value=${live(shown.typed[name])} placeholder=${placeholder} maxlength=${most} autocomplete="off" spellcheck="false" autocapitalize="off" aria-invalid=${faultOf(shown, name) ? "true" : "false"} aria-describedby="${name}-hint ${name}-fault" @input=${type} />`;
}

function price(now: Quote | undefined, { parameters }: Info): TemplateResult {
  if (!now) return html`<p class="waiting">Asking for the price…</p>`;
  return html`<p>A deposit costs ${amount(sats(now.pegIn.chargeSat))} now, at ${now.rate / 1000} sat/vB; the smallest is ${amount(sats(parameters.minDepositSat))}.</p>`;
}

/** Up to which rate a maximum is enough: it cannot be raised, so a near one is a warning. */
export function enough(maxFeeSat: bigint, rate: number, parameters: Info["parameters"]): TemplateResult {
  const upTo = Number(enoughUpTo(maxFeeSat, parameters) ?? 0n);
  const isNear = upTo < 2 * rate;
  return html`<p class="notice ${isNear ? "warn" : ""}">That maximum is enough up to ${Math.floor(upTo / 10) / 100} sat/vB, whatever is paid to the address; now it is ${rate / 1000} sat/vB. ${isNear ? html`<strong>That is near:</strong> when the rate is above, nothing is swept, and what was paid is locked for ${counted(parameters.reclaimDelay, "Bitcoin block")}. Name a higher maximum, or pay more.` : nothing}</p>`;
}

function bill(amountSat: bigint, maxFeeSat: bigint, now: Quote, { parameters, bitcoinNetwork }: Info): TemplateResult {
  const made = depositBill(amountSat, maxFeeSat, BigInt(now.rate), parameters);
  const needed = parameters.tiers.find(({ upToSat }) => upToSat >= Number(amountSat))?.confirmations ?? parameters.finalBlocks;
  const isDear = depositCharge(BigInt(now.rate), parameters).totalSat > maxFeeSat;
  return html`${sum(
      [
        { what: "You pay", sat: made.sentSat },
        { what: `Bitcoin's part of the sweep, at ${now.rate / 1000} sat/vB`, sat: -made.bitcoinSat },
        { what: "Fee of the peg", sat: -made.pegSat },
      ],
      { what: "Coins", sat: made.receivedSat },
    )}
    <p>The rate is this node's word; what is taken is by that of the day on which it is swept, and the whole cost at most ${amount(maxFeeSat)}. The coins are there after about ${counted(needed, "confirmation")}${bitcoinNetwork === "regtest" ? "" : `, ${needed * BLOCK_MINUTES} minutes on average`}.</p>
    ${isDear ? html`<p class="notice warn">That maximum is less than a sweep costs now: the deposit would wait for lower fees.</p>` : enough(maxFeeSat, now.rate, parameters)}`;
}
