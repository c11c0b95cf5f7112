// Take bitcoin out: where to, how much, the most that it may cost; what will be signed, in words; then the wallet.
import { html, nothing, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";
import { type Hex, encodeFunctionData, parseAbi } from "viem";
import type { Context, View } from "../app/view.ts";
import { WEI_PER_SAT, parseAmount } from "../amount.ts";
import { AddressError, payeeOfAddress } from "../bitcoin/address.ts";
import { digitsOf } from "../bitcoin/bytes.ts";
import { floorFee, refusedWithdrawal, usualWithdrawalMaximum, withdrawalBill, withdrawalCharge } from "../bitcoin/fee.ts";
import { readPayment } from "../bitcoin/link.ts";
import { withdrawalRefused } from "../bitcoin/refusal.ts";
import type { Payee } from "../bitcoin/script.ts";
import { topicOf } from "../abi/decode.ts";
import { amount, sum } from "../draw/amount.ts";
import { faultLink } from "../draw/fault.ts";
import { toBeginning } from "../draw/focus.ts";
import { link, shortened } from "../draw/links.ts";
import { ago } from "../draw/time.ts";
import { BRIDGE } from "../evidence/entries.ts";
import { codeOf, sentenceOf } from "../faults.ts";
import { type Limits, type Quote, type VaultTransactionList, sats } from "../peg/answers.ts";
import { askQuote } from "../peg/quote.ts";
import { type Sent, forgetSent, keepSent, sent } from "../peg/sent.ts";
import { chainOf, connection, walletWords } from "../wallet/connect.ts";
import { Reverts, included, tried } from "../wallet/send.ts";
import type { Call } from "../wallet/wallet.ts";

const BRIDGE_ABI = parseAbi(["function withdraw(bytes script, uint64 maxFeeSat) payable returns (uint256 id)"]);
/** The rate at which the slider ends, 300 sat/vB: few days asked for more. */
const HIGHEST_RATE = 300_000n;
/** Vault transactions whose rates are shown. */
const LAST = 20;
/** Gas of a withdrawal, before it is estimated, and what its price may rise by until it is in a block. */
const USUAL_GAS = 250_000n;
const PRICE_TIMES = 2n;

/** What will be signed. */
interface Order {
  payee: Payee;
  address: string;
  amountSat: bigint;
  maxFeeSat: bigint;
}

type Stage = { is: "form" } | { is: "confirming"; order: Order; call: Call } | { is: "signing" } | { is: "sent"; sent: Sent };

export function pegOut(context: Context): View {
  const { node, wallet } = context;
  const form = { address: "", amount: "", isAll: false, maximum: "" };
  let stage: Stage = { is: "form" };
  let quote: Quote | undefined;
  let limits: Limits | undefined;
  let had: { account: Hex; wei: bigint } | undefined;
  let gasPrice = 0n;
  let rates: number[] = [];
  let said: { words: unknown; code?: string } | undefined;
  let shown = false;
  let isLeft = false;

  const say = (words: unknown, code?: string) => {
    said = words === undefined ? undefined : { words, ...(code ? { code } : {}) };
    context.redraw();
  };
  const set = (next: Stage) => {
    const isAnother = next.is !== stage.is;
    stage = next;
    context.redraw();
    if (isAnother) toBeginning();
  };

  function payee(): { payee: Payee } | { fault: string } {
    try {
      const typed = readPayment(form.address)?.address ?? form.address.trim();
      return { payee: payeeOfAddress(typed, context.info().bitcoinNetwork) };
    } catch (error) {
      return { fault: error instanceof AddressError ? error.message : String(error) };
    }
  }

  /** Wei of the account that is chosen now; nothing until the node has said. */
  const balanceNow = () => (had && had.account === wallet.account ? had.wei : undefined);

  /** All but what the gas may cost, in whole satoshis. */
  function all(): bigint | undefined {
    const balance = balanceNow();
    if (balance === undefined) return undefined;
    const left = balance - USUAL_GAS * gasPrice * PRICE_TIMES;
    return left > 0n ? left / WEI_PER_SAT : 0n;
  }

  const amountSat = () => (form.isAll ? all() : parseAmount(form.amount, "BTC"));

  function maximum(of: bigint | undefined, to: Payee | undefined): bigint | undefined {
    if (form.maximum) return parseAmount(form.maximum, "sat");
    return quote && of !== undefined && to ? usualWithdrawalMaximum(of, BigInt(quote.rate), to, context.info().parameters) : undefined;
  }

  function order(): { order: Order } | { faults: { address?: string; amount?: string; maximum?: string } } {
    const to = payee();
    const faults: { address?: string; amount?: string; maximum?: string } = {};
    if ("fault" in to) faults.address = to.fault;
    const sat = amountSat();
    const balance = balanceNow();
    if (sat === undefined) faults.amount = form.amount ? "This is no amount: write it as 0.1 or 0.1 BTC." : "How much is to go out?";
    else if (balance !== undefined && sat * WEI_PER_SAT > balance) faults.amount = "Your account has less than that.";
    const most = "payee" in to ? maximum(sat, to.payee) : undefined;
    if (form.maximum && parseAmount(form.maximum, "sat") === undefined) faults.maximum = "This is no amount: write it as 2000 sat.";
    if ("payee" in to && sat !== undefined && most !== undefined && !faults.amount) {
      const refused = refusedWithdrawal(sat, most, to.payee, context.info().parameters);
      if (refused) faults[refused.why === "belowLeast" || refused.why === "aboveWindow" || refused.why === "leavesDust" ? "amount" : "maximum"] = withdrawalRefused(refused);
      else if (Object.keys(faults).length === 0) return { order: { payee: to.payee, address: readPayment(form.address)?.address ?? form.address.trim(), amountSat: sat, maxFeeSat: most } };
    }
    return { faults };
  }

  async function confirm(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const made = order();
    if (!("order" in made)) {
      shown = true;
      context.redraw();
      queueMicrotask(() => (event.target as HTMLFormElement).querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    say(undefined);
    try {
      if (!wallet.account) return say("Connect a wallet first.");
      const from = wallet.account;
      await wallet.enter(chainOf(context));
      const { payee: to, amountSat: sat, maxFeeSat } = made.order;
      const data = encodeFunctionData({ abi: BRIDGE_ABI, functionName: "withdraw", args: [`0x${digitsOf(to.script)}`, maxFeeSat] });
      const call = { from, chainId: context.info().chainId, to: BRIDGE, data, value: sat * WEI_PER_SAT };
      set({ is: "confirming", order: made.order, call: { ...call, gas: await tried(context, call) } });
    } catch (error) {
      failed(error);
    }
  }

  /** Signed once: a second press finds nothing to sign. */
  async function sign(asked: Order, call: Call): Promise<void> {
    if (stage.is !== "confirming") return;
    set({ is: "signing" });
    try {
      const hash = await wallet.send(call);
      const one: Sent = { networkId: context.info().networkId, owner: call.from, hash, amountSat: asked.amountSat.toString(), at: Math.floor(context.now()) };
      keepSent(one);
      set({ is: "sent", sent: one });
      await follow(one);
    } catch (error) {
      set({ is: "form" });
      failed(error);
    }
  }

  async function follow(one: Sent): Promise<void> {
    const receipt = await included(context, one.hash, () => isLeft);
    if (!receipt) return;
    forgetSent();
    const queued = receipt.logs.find(({ topics }) => topics[0] === topicOf("bridge", "WithdrawalQueued"));
    if (receipt.status === "0x1" && queued?.topics[1]) {
      if (!isLeft) context.go("withdrawal", Number(BigInt(queued.topics[1])));
      return;
    }
    set({ is: "form" });
    say(html`${link(["tx", one.hash], "The transaction")} was carried out and failed: only its gas was paid, and the coins are where they were.`, "failed");
  }

  function failed(error: unknown): void {
    const code = codeOf(error);
    if (error instanceof Reverts) return say(`The ledger would refuse it (${error.error}). Nothing was sent.`, code);
    if (code === "insufficient-funds") return say("Your account has not enough for the amount and the gas. Nothing was sent.", code);
    say(walletWords(error) ?? `${sentenceOf(error)} Nothing was sent.`, code);
  }

  return {
    title: "Take bitcoin out",
    async refresh() {
      const [price, now, newest, gas] = await Promise.all([
        askQuote(node, context.info(), scriptLength()),
        node.ask<Limits>("peg_getLimits"),
        node.ask<VaultTransactionList>("peg_getVaultTransactions", null, LAST),
        node.ask<Hex>("eth_gasPrice"),
      ]);
      [quote, limits, gasPrice] = [price, now, BigInt(gas)];
      rates = newest.vaultTransactions.filter(({ content }) => content.withdrawals.length).map(({ content }) => content.rate);
      const { account } = wallet;
      had = account ? { account, wei: BigInt(await node.ask<Hex>("eth_getBalance", account, "latest")) } : undefined;
      const one = stage.is === "form" ? sent(context.info().networkId) : undefined;
      if (one) {
        stage = { is: "sent", sent: one };
        void follow(one).catch(failed);
      }
    },
    leave: () => {
      isLeft = true;
    },
    draw() {
      const parts = {
        form: () => html`${connection(context, say)} ${drawForm()}`,
        confirming: () => (stage.is === "confirming" ? drawConfirming(stage.order, stage.call) : html``),
        signing: () => html`<p role="status" class="waiting">Look at your wallet: it asks whether to sign.</p>`,
        sent: () => (stage.is === "sent" ? drawSent(stage.sent) : html``),
      };
      return html`<h1>Take bitcoin out</h1>
        <div role="alert">${said ? html`<p class="notice bad">${said.words}${faultLink(said.code)}</p>` : nothing}</div>
        ${parts[stage.is]()}`;
    },
  };

  function scriptLength(): number {
    const to = payee();
    return "payee" in to ? to.payee.script.length : 34;
  }

  function drawForm(): TemplateResult {
    const made = order();
    const faults = "faults" in made ? made.faults : {};
    const to = payee();
    const sat = amountSat();
    const balance = balanceNow();
    const most = "payee" in to ? maximum(sat, to.payee) : undefined;
    const type = (name: "address" | "amount" | "maximum") => (event: Event) => {
      form[name] = (event.currentTarget as HTMLInputElement).value.slice(0, 400);
      if (name === "amount") form.isAll = false;
      context.redraw();
    };
    const asks = readPayment(form.address)?.amountSat;
    const useAll = () => {
      form.isAll = true;
      form.amount = "";
      context.redraw();
    };
    const fault = (name: "address" | "amount" | "maximum") => (shown || (name === "amount" && form.isAll) || form[name] ? faults[name] : undefined);
    return html`<form @submit=${confirm} novalidate class="flow">
      <p class="field">
        <label for="address">Bitcoin address that is paid</label>
        <input id="address" class="wide" .value=${live(form.address)} maxlength="400" autocomplete="off" spellcheck="false" autocapitalize="off" aria-invalid=${fault("address") ? "true" : "false"} aria-describedby="address-fault" @input=${type("address")} />
        ${asks === undefined ? nothing : html`<small>The link asks for ${amount(asks)}: so much arrives if the amount below is higher by the fees.</small>`}
        <span id="address-fault" class="fault">${fault("address") ?? nothing}</span>
      </p>
      <p class="field">
        <label for="amount">Amount, in BTC, fees included</label>
        <span class="row">
          <input id="amount" class="wide" .value=${live(form.isAll && sat !== undefined ? btcDigits(sat) : form.amount)} placeholder="0.05" maxlength="40" autocomplete="off" inputmode="decimal" aria-invalid=${fault("amount") ? "true" : "false"} aria-describedby="amount-hint amount-fault" @input=${type("amount")} />
          <button type="button" class="quiet" ?disabled=${balance === undefined} @click=${useAll}>All</button>
        </span>
        <small id="amount-hint">${balance === undefined ? (wallet.account ? "Asking what your account has…" : "Connect a wallet to see what it has.") : html`Your account has ${amount(balance / WEI_PER_SAT)}.`} ${limits && sats(limits.windowLeftSat) < (sat ?? 0n) ? html`More than ${amount(sats(limits.windowLeftSat))} is not begun at once now: the rest waits.` : nothing}</small>
        <span id="amount-fault" class="fault">${fault("amount") ?? nothing}</span>
      </p>
      ${"payee" in to && quote ? slider(to.payee, most, fault("maximum"), type("maximum")) : nothing}
      ${"order" in made && quote ? bill(made.order, quote) : nothing}
      <p><button ?disabled=${!wallet.account || !quote}>Look at what will be signed</button></p>
    </form>`;
  }

  function slider(to: Payee, most: bigint | undefined, fault: string | undefined, type: (event: Event) => void): TemplateResult {
    const { parameters } = context.info();
    const floor = floorFee(to.script.length, parameters);
    const end = withdrawalCharge(to.script.length, HIGHEST_RATE, parameters).totalSat;
    const shownMost = most ?? floor;
    return html`<p class="field">
      <label for="maximum">The most that it may cost: <output for="maximum">${amount(shownMost)}</output></label>
      <input id="maximum" type="range" class="wide" min=${floor.toString()} max=${(shownMost > end ? shownMost : end).toString()} .value=${live(shownMost.toString())} aria-invalid=${fault ? "true" : "false"} aria-describedby="maximum-hint maximum-fault" @input=${type} />
      <small id="maximum-hint">${meaning(to, shownMost)}</small>
      <span id="maximum-fault" class="fault">${fault ?? nothing}</span>
    </p>`;
  }

  /** What a maximum means in time, in honest words. */
  function meaning(to: Payee, most: bigint): TemplateResult {
    const { parameters, bitcoinNetwork } = context.info();
    const now = withdrawalCharge(to.script.length, BigInt(quote?.rate ?? parameters.minRate), parameters).totalSat;
    // The highest rate at which it is still paid.
    const perVb = (most - sats(parameters.pegOutFeeSat)) / BigInt(to.script.length + 44);
    const range = rates.length ? ` The last ${rates.length} payouts took ${rateText(Math.min(...rates))}${Math.min(...rates) === Math.max(...rates) ? "" : ` to ${rateText(Math.max(...rates))}`}.` : "";
    const soon = bitcoinNetwork === "regtest" ? "mostly in the next block" : "mostly within 10 to 20 minutes";
    return most >= now
      ? html`Enough while Bitcoin takes up to about ${perVb.toString()} sat/vB; now it is ${rateText(quote?.rate ?? 0)}: ${soon}.${range} You pay what it costs, not the maximum, and can raise it later.`
      : html`<strong>Less than it costs now</strong> (${amount(now)}): it waits until Bitcoin takes no more than about ${perVb.toString()} sat/vB, which may be hours or never.${range} You can raise it later, or take it back while it waits.`;
  }

  function bill({ payee: to, amountSat: sat, maxFeeSat }: Order, now: Quote): TemplateResult {
    const made = withdrawalBill(sat, maxFeeSat, BigInt(now.rate), to, context.info().parameters);
    return html`${sum(
      [
        { what: "Leaves your account", sat: made.sentSat },
        { what: `Bitcoin's part of the payout, at ${rateText(now.rate)}`, sat: -made.bitcoinSat },
        { what: "Fee of the peg", sat: -made.pegSat },
      ],
      { what: "Arrives on Bitcoin, at the present rate", sat: made.receivedSat },
    )}
      <p>At least ${amount(sat - maxFeeSat)} arrives, whatever Bitcoin takes on that day.</p>`;
  }

  function drawConfirming({ payee: to, address, amountSat: sat, maxFeeSat }: Order, call: Call): TemplateResult {
    const gasMost = (call.gas * gasPrice * PRICE_TIMES + WEI_PER_SAT - 1n) / WEI_PER_SAT;
    return html`<section class="flow">
      <h2>What you are about to sign</h2>
      <dl class="facts">
        <dt>From your account</dt><dd>${shortened(call.from)}</dd>
        <dt>Pay on Bitcoin</dt><dd><code class="address">${address}</code> <span class="quiet">(${to.template})</span></dd>
        <dt>Leaves your account</dt><dd>${amount(sat)}</dd>
        <dt>Costs at most</dt><dd>${amount(maxFeeSat)}, and gas here, about ${amount(gasMost)} at most</dd>
        <dt>Arrives at least</dt><dd>${amount(sat - maxFeeSat)}</dd>
        <dt>The wallet shows</dt><dd>a call of <code>${call.to}</code> with ${amount(call.value / WEI_PER_SAT)}: the contract Bridge, function withdraw</dd>
      </dl>
      <p>Look at the address once more: a payment on Bitcoin cannot be taken back. Compare its first and last letters with where you have it from.</p>
      <p class="row">
        <button type="button" @click=${() => void sign({ payee: to, address, amountSat: sat, maxFeeSat }, call)}>Sign in the wallet</button>
        <button type="button" class="quiet" @click=${() => set({ is: "form" })}>Back</button>
      </p>
    </section>`;
  }

  function drawSent({ hash, amountSat: sat, at }: Sent): TemplateResult {
    const forget = () => {
      forgetSent();
      set({ is: "form" });
    };
    return html`<section class="flow">
      <p role="status" class="waiting">Sent ${ago(at, context.now())}: ${amount(BigInt(sat))}, by transaction ${link(["tx", hash], shortened(hash))}. Waiting for a block with it; then its page opens.</p>
      <p>It is not sent again by a reload. If it is still not in a block after some minutes, your wallet may have dropped or replaced it: look there, then <button type="button" class="quiet" @click=${forget}>forget it here</button>.</p>
    </section>`;
  }
}

const rateText = (rate: number) => `${rate / 1000} sat/vB`;

function btcDigits(sat: bigint): string {
  return `${sat / 100_000_000n}.${(sat % 100_000_000n).toString().padStart(8, "0")}`;
}
