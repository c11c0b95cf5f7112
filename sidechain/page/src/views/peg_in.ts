// Bring bitcoin in: what comes of it, a key that can take it back, the record on the owner's disk, and only then an address to pay.
import { html, nothing, type TemplateResult } from "lit-html";
import { live } from "lit-html/directives/live.js";
import type { Hex } from "viem";
import type { Context, View } from "../app/view.ts";
import { parseAmount } from "../amount.ts";
import { depositBill, depositCharge, refusedDeposit, usualDepositMaximum } from "../bitcoin/fee.ts";
import { paymentLink } from "../bitcoin/link.ts";
import { drawPassphrase, refusedPassphrase } from "../bitcoin/passphrase.ts";
import { paymentQr } from "../bitcoin/qr.ts";
import { needsClaimant, readAccount, refusedReceiver } from "../bitcoin/receiver.ts";
import { type DepositRecord, freshReclaimKey, newRecord, ownReclaimKey, readRecord, recordFileName, recordText, registration } from "../bitcoin/record.ts";
import { depositRefused } from "../bitcoin/refusal.ts";
import { amount, sum } from "../draw/amount.ts";
import { faultLink } from "../draw/fault.ts";
import { toBeginning } from "../draw/focus.ts";
import { link, shortened } from "../draw/links.ts";
import { counted } from "../draw/time.ts";
import { BRIDGE } from "../evidence/entries.ts";
import type { Genesis } from "../evidence/genesis.ts";
import { proveKeys } from "../evidence/live.ts";
import { codeOf, sentenceOf } from "../faults.ts";
import { type DepositReport, type Info, type Limits, type Quote, sats } from "../peg/answers.ts";
import { begin, begun } from "../peg/begun.ts";
import { askQuote } from "../peg/quote.ts";
import { connection } from "../wallet/connect.ts";

/** A record has some 2 kB. */
const MOST_BYTES = 100_000;

/** What is typed. */
interface Form {
  recipient: string;
  claimant: string;
  amount: string;
  maximum: string;
  passphrase: string;
  ownKey: string;
}

type Stage =
  | { is: "form" }
  | { is: "sealing"; part: number }
  | { is: "saving"; record: DepositRecord; isSaved: boolean }
  | { is: "registering"; record: DepositRecord }
  | { is: "paying"; address: string; recipient: string };

/** The node answers another address than the page made. */
class OtherAddress extends Error {}

/** `in`, or `in/ADDRESS` of one that was begun in this browser: it is known to be its owner's, as no link alone says. */
export function pegIn(context: Context, address = ""): View {
  const { node, wallet } = context;
  const again = begun(context.info().networkId).find((one) => one.address === address);
  const form: Form = { recipient: "", claimant: "", amount: "", maximum: "", passphrase: "", ownKey: "" };
  let stage: Stage = again ? { is: "paying", address, recipient: again.recipient } : { is: "form" };
  let quote: Quote | undefined;
  let limits: Limits | undefined;
  let said: { words: string; code: string | undefined } | undefined;
  let hasCode = false;
  let report: DepositReport | undefined;
  let hadPayments: number | undefined;
  let isLeft = false;

  const say = (words: string | undefined, code?: string) => {
    said = words === undefined ? undefined : { words, code };
    context.redraw();
  };
  const failed = (error: unknown, code = codeOf(error)) => say(sentenceOf(error), code);
  const set = (next: Stage) => {
    const isAnother = next.is !== stage.is;
    stage = next;
    context.redraw();
    if (isAnother) toBeginning();
  };
  const recipient = () => readAccount(form.recipient || (wallet.account ?? ""));
  const usualMaximum = () => quote && usualDepositMaximum(typedAmount(), BigInt(quote.rate), context.info().parameters);
  const maximum = () => (form.maximum ? parseAmount(form.maximum, "sat") : usualMaximum());
  const typedAmount = () => (form.amount ? parseAmount(form.amount, "BTC") : undefined);

  /** Why the form cannot be used as it is; by the field's name. */
  function faults(): Partial<Record<keyof Form, string>> {
    const found: Partial<Record<keyof Form, string>> = {};
    const { contracts, parameters, bitcoinNetwork } = context.info();
    const to = recipient();
    if (!to) found.recipient = form.recipient ? "This is no account: 40 hexadecimal digits after 0x, with the capitals of its checksum, or none." : "Whose are the coins to be? Connect a wallet, or type an account.";
    const claimant = form.claimant ? readAccount(form.claimant) : to;
    if (!claimant && to) found.claimant = "This is no account.";
    if (to && claimant) {
      const refused = refusedReceiver({ recipient: to, claimant }, contracts);
      if (refused) found[form.claimant ? "claimant" : "recipient"] = refused;
      else if (hasCode && !form.claimant) found.claimant = "There is a contract at this account, which may refuse coins: name an account of yours that can fetch them then.";
    }
    const sat = typedAmount();
    const most = maximum();
    if (form.amount && sat === undefined) found.amount = "This is no amount: write it as 0.1 or 0.1 BTC.";
    if (form.maximum && parseAmount(form.maximum, "sat") === undefined) found.maximum = "This is no amount: write it as 20000 sat.";
    else if (most !== undefined && !found.amount) {
      const refused = refusedDeposit(sat, most, parameters);
      if (refused) found[refused.why === "belowLeast" || refused.why === "aboveWindow" ? "amount" : "maximum"] = depositRefused(refused);
    }
    if (sat !== undefined && limits && sat + BigInt(limits.capUsedSat) > BigInt(limits.capSat)) found.amount = "The peg holds as much as it may: this deposit would not be swept, and be yours again after the timelock.";
    if (form.ownKey) {
      try {
        ownReclaimKey(form.ownKey.trim());
      } catch (error) {
        found.ownKey = error instanceof Error ? error.message : String(error);
      }
    } else {
      const refused = refusedPassphrase(form.passphrase, bitcoinNetwork);
      if (refused) found.passphrase = form.passphrase ? refused : "The key that takes your deposit back is kept encrypted: choose a passphrase, or let one be drawn.";
    }
    return found;
  }

  async function make(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (stage.is !== "form" || isMaking) return;
    const fields = event.currentTarget as HTMLFormElement;
    const to = recipient();
    const most = maximum();
    if (Object.keys(faults()).length || !to || most === undefined) return showFaults(fields);
    isMaking = true;
    say(undefined);
    try {
      // It may have been typed just now.
      hasCode = await codeAt(to);
      if (recipient() !== to) return;
      if (Object.keys(faults()).length) return showFaults(fields);
      set({ is: "sealing", part: 0 });
      const info = context.info();
      const { genesis } = context;
      // The address commits to this key: it is proven, not believed.
      const { keys } = await proveKeys(node, genesis, info.epoch);
      const progress = (part: number) => set({ is: "sealing", part });
      const key = form.ownKey ? ownReclaimKey(form.ownKey.trim()) : await freshReclaimKey(form.passphrase, progress);
      const record = newRecord(agreed(info, genesis, keys.group), { recipient: to, claimant: readAccount(form.claimant) ?? to }, most, key);
      form.passphrase = "";
      set({ is: "saving", record, isSaved: false });
    } catch (error) {
      set({ is: "form" });
      failed(error);
    } finally {
      isMaking = false;
    }
  }
  let isMaking = false;

  const codeAt = async (account: Hex) => needsClaimant(await node.ask<Hex>("eth_getCode", account, "latest"));

  function showFaults(form: HTMLFormElement): void {
    shown = true;
    context.redraw();
    queueMicrotask(() => {
      const wrong = form.querySelector<HTMLElement>("[aria-invalid=true]");
      wrong?.closest("details")?.setAttribute("open", "");
      wrong?.focus();
    });
  }
  let shown = false;

  /** The record is on disk when it was read back from there. */
  async function readBack(event: Event, record: DepositRecord): Promise<void> {
    const file = (event.currentTarget as HTMLInputElement).files?.[0];
    if (!file) return;
    try {
      if (file.size > MOST_BYTES) throw new Error("This file is no record of a deposit: those are far smaller. Choose the file that was saved just now.");
      const again = readRecord(await file.text());
      if (recordText(again) !== recordText(record)) throw new Error(again.address === record.address ? "This file is damaged: save it once more." : "This is the record of another address: choose the file that was saved just now.");
    } catch (error) {
      return failed(error, "record");
    }
    await register(record);
  }

  async function register(record: DepositRecord): Promise<void> {
    said = undefined;
    set({ is: "registering", record });
    try {
      const { address } = await node.ask<{ address: string }>("peg_registerDeposit", registration(record));
      if (address !== record.address) throw new OtherAddress(`The node makes another address of the same terms (${address}): it is not to be trusted, and neither address is to be paid. Nothing is lost.`);
      begin({ networkId: record.networkId, address, recipient: record.recipient, at: Math.floor(context.now()) });
      set({ is: "paying", address, recipient: record.recipient });
    } catch (error) {
      set({ is: "saving", record, isSaved: true });
      failed(error, error instanceof OtherAddress ? "other-address" : codeOf(error));
    }
  }

  return {
    title: "Bring bitcoin in",
    async refresh() {
      [quote, limits] = await Promise.all([askQuote(node, context.info()), node.ask<Limits>("peg_getLimits")]);
      const to = recipient();
      const isContract = to ? await codeAt(to) : false;
      if (to === recipient()) hasCode = isContract;
      if (stage.is === "paying") {
        report = await node.ask<DepositReport>("peg_getDeposit", stage.address);
        // What was there when an address is opened again is no news; else nobody could go back to it.
        hadPayments ??= again ? report.deposits.length : 0;
        if (report.deposits.length > hadPayments && !isLeft) context.go("deposit", stage.address);
      }
    },
    leave: () => {
      isLeft = true;
      form.passphrase = "";
    },
    draw() {
      const parts = {
        form: () => html`${address && !again ? html`<p class="notice">This address was not begun in this browser. ${link(["deposit", address], "Its page")} says what is known of it.</p>` : nothing} ${connection(context, say)} ${drawForm()}`,
        sealing: () => html`<p role="status" class="waiting">Making a key and encrypting it… <progress max="1" .value=${stage.is === "sealing" ? stage.part : 0} aria-label="Encrypting the key"></progress></p>`,
        saving: () => (stage.is === "saving" ? drawSaving(stage.record, stage.isSaved) : html``),
        registering: () => html`<p role="status" class="waiting">Telling the federation which address to watch…</p>`,
        paying: () => (stage.is === "paying" ? drawPaying(stage.address, stage.recipient) : html``),
      };
      return html`<h1>Bring bitcoin in</h1>
        <div role="alert">${said ? html`<p class="notice bad">${said.words}${faultLink(said.code)}</p>` : nothing}</div>
        ${parts[stage.is]()} ${stage.is === "form" ? drawBegun() : nothing}`;
    },
  };

  function drawForm(): TemplateResult {
    const found = faults();
    const info = context.info();
    const fault = (name: keyof Form) => (shown || form[name] ? found[name] : undefined);
    const sat = typedAmount();
    const most = maximum();
    const usual = usualMaximum();
    return html`<form @submit=${make} novalidate class="flow">
      ${field("recipient", "Who gets the coins", wallet.account ? `Your account ${wallet.account}, unless you type another.` : "An account of the sidechain, 0x…", fault("recipient"))}
      ${hasCode || form.claimant ? field("claimant", "Who may fetch them, should the recipient's code refuse them", "An account of yours.", fault("claimant")) : nothing}
      ${field("amount", "How much you will pay, in BTC", "For the link and the sum below; the address takes any amount, as often as you like.", fault("amount"), "0.1")}
      ${quote && sat !== undefined && most !== undefined && !found.amount ? bill(sat, most, quote) : price(quote)}
      ${form.ownKey ? nothing : passphrase(fault("passphrase"))}
      <details>
        <summary>More choices</summary>
        ${field("maximum", "The most that the sweep may cost, in sat", usual === undefined ? "" : `Without a word of yours ${amountText(usual)}. It cannot be raised later: what is not swept is yours again after ${counted(info.parameters.reclaimDelay, "Bitcoin block")}.`, fault("maximum"))}
        ${field("ownKey", "A key of your own that can take the deposit back", "x-only, 64 hexadecimal digits; of a hardware wallet for example. Else one is made here.", fault("ownKey"))}
      </details>
      <p><button ?disabled=${!quote}>Make the record</button></p>
      <p class="quiet">The bridge is not audited: use it with bitcoin that you can lose.</p>
    </form>`;
  }

  function field(name: keyof Form, label: string, hint: string, fault: string | undefined, placeholder = ""): TemplateResult {
    const type = (event: Event) => {
      form[name] = (event.currentTarget as HTMLInputElement).value.slice(0, 200);
      context.redraw();
    };
    return html`<p class="field">
      <label for=${name}>${label}</label>
      <input id=${name} class="wide" .value=${live(form[name])} placeholder=${placeholder} maxlength="200" autocomplete="off" spellcheck="false" autocapitalize="off" aria-invalid=${fault ? "true" : "false"} aria-describedby="${name}-hint ${name}-fault" @input=${type} />
      <small id="${name}-hint">${hint}</small>
      <span id="${name}-fault" class="fault">${fault ?? nothing}</span>
    </p>`;
  }

  function passphrase(fault: string | undefined): TemplateResult {
    const draw = () => {
      form.passphrase = drawPassphrase();
      context.redraw();
    };
    const type = (event: Event) => {
      form.passphrase = (event.currentTarget as HTMLInputElement).value;
      context.redraw();
    };
    return html`<p class="field">
      <label for="passphrase">A passphrase for the key that can take the deposit back</label>
      <span class="row">
        <input id="passphrase" class="wide" .value=${live(form.passphrase)} maxlength="1000" autocomplete="off" spellcheck="false" autocapitalize="off" aria-invalid=${fault ? "true" : "false"} aria-describedby="passphrase-hint passphrase-fault" @input=${type} />
        <button type="button" class="quiet" @click=${draw}>Draw one</button>
      </span>
      <small id="passphrase-hint">Write it down: nobody can reset it. It is needed only if the federation does not sweep your deposit.</small>
      <span id="passphrase-fault" class="fault">${fault ?? nothing}</span>
    </p>`;
  }

  function price(now: Quote | undefined): TemplateResult {
    if (!now) return html`<p class="waiting">Asking for the price…</p>`;
    return html`<p>A deposit costs ${amount(sats(now.pegIn.chargeSat))} now, at ${now.rate / 1000} sat/vB; the smallest is ${amount(sats(context.info().parameters.minDepositSat))}.</p>`;
  }

  function bill(sat: bigint, most: bigint, now: Quote): TemplateResult {
    const { parameters, bitcoinNetwork } = context.info();
    const made = depositBill(sat, most, BigInt(now.rate), parameters);
    const needed = parameters.tiers.find(({ upToSat }) => upToSat >= Number(sat))?.confirmations ?? parameters.finalBlocks;
    const isDear = depositCharge(BigInt(now.rate), parameters).totalSat > most;
    return html`${sum(
        [
          { what: "You pay", sat: made.sentSat },
          { what: `Bitcoin's part of the sweep, at ${now.rate / 1000} sat/vB`, sat: -made.bitcoinSat },
          { what: "Fee of the peg", sat: -made.pegSat },
        ],
        { what: "Coins", sat: made.receivedSat },
      )}
      <p>The rate is that of the day on which it is swept, and the whole cost at most ${amount(most)}. The coins are there after about ${counted(needed, "confirmation")}${bitcoinNetwork === "regtest" ? "" : `, ${needed * 10} minutes on average`}.</p>
      ${isDear ? html`<p class="notice warn">That maximum is less than a sweep costs now: the deposit would wait for lower fees.</p>` : nothing}`;
  }

  function drawSaving(record: DepositRecord, isSaved: boolean): TemplateResult {
    const save = () => {
      const url = URL.createObjectURL(new Blob([recordText(record)], { type: "application/json" }));
      const anchor = Object.assign(document.createElement("a"), { href: url, download: recordFileName(record) });
      anchor.click();
      URL.revokeObjectURL(url);
      set({ is: "saving", record, isSaved: true });
    };
    return html`<section class="flow">
      <h2>Save the record before you pay</h2>
      <p>It says what the address commits to${record.reclaimKeystore ? ", and holds the encrypted key" : ""}: with it alone, and a bitcoind, you take back what the federation does not sweep. Without it nobody can. The address is shown when the file was read back from your disk.</p>
      <ol>
        <li><button type="button" @click=${save}>Save ${recordFileName(record).slice(0, 14)}….json</button></li>
        <li>
          <label>Choose the saved file <input type="file" accept=".json,application/json" ?disabled=${!isSaved} @change=${(event: Event) => void readBack(event, record)} /></label>
        </li>
      </ol>
      <p class="quiet">Copy it to where you keep backups. <code>causeway</code> finds it in <code>~/.local/share/causeway/deposits/</code>.</p>
    </section>`;
  }

  function drawPaying(address: string, recipient: string): TemplateResult {
    const sat = typedAmount();
    const payment = { address, ...(sat === undefined ? {} : { amountSat: sat }) };
    const copy = (event: Event) => {
      const button = event.currentTarget as HTMLButtonElement;
      void navigator.clipboard?.writeText(address).then(() => (button.textContent = "Copied"), () => undefined);
    };
    return html`<section class="flow">
      <h2>Pay this address</h2>
      <div class="pay">
        ${paymentQr(payment)}
        <div>
          <p><code class="address">${address}</code></p>
          <p class="row"><button type="button" class="quiet" @click=${copy}>Copy</button> <a href=${paymentLink(payment)}>Open in a Bitcoin wallet</a></p>
          <p>${sat === undefined ? "Any amount" : amount(sat)}, from any wallet. The coins go to ${link(["account", recipient], shortened(recipient))}.</p>
        </div>
      </div>
      ${report?.registered === false
        ? html`<p class="notice warn">This node does not know the address any more: nobody looks for payments to it here. ${link(["deposit", address], "What to do")}</p>`
        : nothing}
      <p role="status" class="waiting">${hadPayments ? `${counted(hadPayments, "payment")} came before, and it takes more` : "Seen nothing yet"}: a payment shows here once it is in a Bitcoin block and the federation has proven it. ${link(["deposit", address], "Its page")} can be shared, and finds it again from any machine.</p>
    </section>`;
  }

  function drawBegun(): TemplateResult | typeof nothing {
    const list = begun(context.info().networkId);
    if (!list.length) return nothing;
    return html`<section>
      <h2>Begun in this browser</h2>
      <ul>
        ${list.map(({ address, at }) => html`<li>${link(["in", address], shortened(address))}, ${new Date(at * 1000).toLocaleString()}</li>`)}
      </ul>
    </section>`;
  }
}

/** What the address commits to is of the genesis file and proven, not what the node says it is. */
function agreed(info: Info, { networkId, reclaimDelay }: Genesis, groupKey: Hex): Info {
  return { ...info, networkId, groupKey, contracts: { ...info.contracts, bridge: BRIDGE }, parameters: { ...info.parameters, reclaimDelay } };
}

const amountText = (sat: bigint) => `${sat} sat`;
