// Bring bitcoin in: what comes of it, a key that can take it back, the record on the owner's disk, and only then an address to pay.
//
//   form -> sealing -> saving -> opening -> registering -> paying -> (the deposit's own page)
//     ^________|          ^________|____________|
import { html, nothing, type TemplateResult } from "lit-html";
import type { Hex } from "viem";
import type { Context, View } from "../app/view.ts";
import { needsClaimant } from "../bitcoin/receiver.ts";
import { type DepositRecord, type Receiver, freshReclaimKey, newRecord, openReclaimKey, ownReclaimKey, readRecord, recordText, registration } from "../bitcoin/record.ts";
import { faultLink } from "../draw/fault.ts";
import { toBeginning } from "../draw/focus.ts";
import { link } from "../draw/links.ts";
import { BRIDGE } from "../evidence/entries.ts";
import type { Genesis } from "../evidence/genesis.ts";
import { proveKeys } from "../evidence/live.ts";
import { codeOf, sentenceOf } from "../faults.ts";
import { type DepositReport, type Info, type Limits, type Quote, sats } from "../peg/answers.ts";
import { begin, begun } from "../peg/begun.ts";
import { type Field, nothingTyped, read } from "../peg/deposit_form.ts";
import { askQuote } from "../peg/quote.ts";
import { connection } from "../wallet/connect.ts";
import { drawBegun, drawOpening, drawPaying, drawSaving } from "./peg_in_address.ts";
import { drawForm, toFirstFault } from "./peg_in_form.ts";

/** A record has some 2 kB. */
const MOST_BYTES = 100_000;
/** Accounts that somebody can type whose code is remembered; then the node is asked again. */
const MOST_ACCOUNTS = 100;

type Stage =
  | { is: "form" }
  | { is: "sealing"; part: number }
  | { is: "saving"; record: DepositRecord; isSaved: boolean }
  /** The file is on disk; whether its passphrase is, too, is asked for. */
  | { is: "opening"; record: DepositRecord; part: number | undefined }
  | { is: "registering"; record: DepositRecord }
  | { is: "paying"; address: string; recipient: string; maxFeeSat: bigint | undefined };

interface Terms extends Receiver {
  maxFeeSat: bigint;
}

/** The node answers another address than the page made. */
class OtherAddress extends Error {}

/** `in`, or `in/ADDRESS` of one that was begun in this browser: it is known to be its owner's, as no link alone says. */
export function pegIn(context: Context, address = ""): View {
  const { node, wallet } = context;
  const again = begun(context.info().networkId).find((one) => one.address === address);
  const typed = nothingTyped();
  /** Whether an account has code that may refuse coins, as the node said last. */
  const codes = new Map<Hex, boolean>();
  let stage: Stage = again ? { is: "paying", address, recipient: again.recipient, maxFeeSat: /^\d{1,16}$/.test(again.maxFeeSat ?? "") ? BigInt(again.maxFeeSat as string) : undefined } : { is: "form" };
  let quote: Quote | undefined;
  let limits: Limits | undefined;
  let said: { words: string; code: string | undefined } | undefined;
  let report: DepositReport | undefined;
  let hadPayments: number | undefined;
  let isComplete = false;
  let isMaking = false;
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
    if (isAnother && !isLeft) toBeginning();
  };

  const form = () => read(typed, { info: context.info(), account: wallet.account, quote, limits, hasCode: (account) => codes.get(account) ?? false });

  const type = (field: Field, text: string) => {
    typed[field] = text;
    context.redraw();
    const { recipient } = form();
    // The frame says when the node does not answer; it is asked again with everything else.
    if (field === "recipient" && recipient && !codes.has(recipient)) void askCode(recipient).then(context.redraw, () => undefined);
  };

  async function askCode(account: Hex): Promise<void> {
    const hasCode = needsClaimant(await node.ask<Hex>("eth_getCode", account, "latest"));
    if (codes.size >= MOST_ACCOUNTS) codes.clear();
    codes.set(account, hasCode);
  }

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (stage.is !== "form" || isMaking) return;
    const fields = event.currentTarget as HTMLFormElement;
    const before = usable();
    if (!before) return showFaults(fields);
    isMaking = true;
    say(undefined);
    try {
      // There may be code by now that may refuse coins, and there has to be an answer.
      await askCode(before.recipient);
      const terms = usable();
      if (!terms) return showFaults(fields);
      if (terms.recipient === before.recipient) set({ is: "saving", record: await made(terms), isSaved: false });
    } catch (error) {
      set({ is: "form" });
      failed(error);
    } finally {
      isMaking = false;
    }
  }

  /** The terms of an address, if nothing is wrong with them. */
  function usable(): Terms | undefined {
    const { recipient, claimant, maxFeeSat, faults } = form();
    return Object.keys(faults).length || !recipient || !claimant || maxFeeSat === undefined ? undefined : { recipient, claimant, maxFeeSat };
  }

  function showFaults(fields: HTMLFormElement): void {
    isComplete = true;
    context.redraw();
    queueMicrotask(() => toFirstFault(fields));
  }

  async function made({ recipient, claimant, maxFeeSat }: Terms): Promise<DepositRecord> {
    const progress = (part: number) => set({ is: "sealing", part });
    progress(0);
    const { genesis } = context;
    const info = context.info();
    // The address commits to this key: it is proven, not believed.
    const { keys } = await proveKeys(node, genesis, info.epoch, context.now());
    const key = typed.ownKey ? ownReclaimKey(typed.ownKey.trim()) : await freshReclaimKey(typed.passphrase, progress);
    const record = newRecord(agreed(info, genesis, keys.group), { recipient, claimant }, maxFeeSat, key);
    typed.passphrase = "";
    return record;
  }

  /** The record is on disk when it was read back from there. */
  async function readBack(file: File, record: DepositRecord): Promise<void> {
    try {
      if (file.size > MOST_BYTES) throw new Error("This file is no record of a deposit: those are far smaller. Choose the file that was saved just now.");
      const again = readRecord(await file.text());
      if (recordText(again) !== recordText(record)) throw new Error(again.address === record.address ? "This file is damaged: save it once more." : "This is the record of another address: choose the file that was saved just now.");
    } catch (error) {
      return failed(error, "record");
    }
    said = undefined;
    // A key of the owner's own is not in it.
    if (record.reclaimKeystore) set({ is: "opening", record, part: undefined });
    else await register(record);
  }

  /** Who pays has to be able to take it back: so the file that was read back is opened with what was written down. */
  async function opened(record: DepositRecord, passphrase: string): Promise<void> {
    if (stage.is !== "opening" || stage.part !== undefined) return;
    said = undefined;
    set({ is: "opening", record, part: 0 });
    try {
      const secret = await openReclaimKey(record, passphrase, (part) => set({ is: "opening", record, part }));
      secret.fill(0);
    } catch (error) {
      set({ is: "opening", record, part: undefined });
      return failed(error, "keystore");
    }
    await register(record);
  }

  async function register(record: DepositRecord): Promise<void> {
    said = undefined;
    set({ is: "registering", record });
    try {
      const { address } = await node.ask<{ address: string }>("peg_registerDeposit", registration(record));
      if (address !== record.address) throw new OtherAddress(`The node makes another address of the same terms (${address}): it is not to be trusted, and neither address is to be paid. Nothing is lost.`);
      begin({ networkId: record.networkId, address, recipient: record.recipient, maxFeeSat: record.maxFeeSat.toString(), at: Math.floor(context.now()) });
      set({ is: "paying", address, recipient: record.recipient, maxFeeSat: record.maxFeeSat });
    } catch (error) {
      set({ is: "saving", record, isSaved: true });
      failed(error, error instanceof OtherAddress ? "other-address" : codeOf(error));
    }
  }

  async function follow(address: string): Promise<void> {
    report = await node.ask<DepositReport>("peg_getDeposit", address);
    // What was there when an address is opened again is no news; else nobody could go back to it.
    hadPayments ??= again ? report.deposits.length : 0;
    if (report.deposits.length > hadPayments && !isLeft) context.go("deposit", address);
  }

  function drawStage(): TemplateResult {
    const now = stage;
    switch (now.is) {
      case "form":
        return html`${address && !again ? html`<p class="notice">This address was not begun in this browser. ${link(["deposit", address], "Its page")} says what is known of it.</p>` : nothing}
        ${connection(context, say)} ${drawForm({ info: context.info(), account: wallet.account, quote, typed, read: form(), isComplete, type, submit: (event) => void submit(event) })} ${drawBegun(context.info().networkId)}`;
      case "sealing":
        return html`<p role="status" class="waiting">Making a key and encrypting it… <progress max="1" .value=${now.part} aria-label="Encrypting the key"></progress></p>`;
      case "saving":
        return drawSaving(now.record, now.isSaved, () => set({ ...now, isSaved: true }), (file) => void readBack(file, now.record));
      case "opening":
        return drawOpening(now.record, now.part, (passphrase) => void opened(now.record, passphrase), () => set({ is: "form" }));
      case "registering":
        return html`<p role="status" class="waiting">Telling the federation which address to watch…</p>`;
      case "paying": {
        const { amountSat } = form();
        const payment = { address: now.address, ...(amountSat === undefined ? {} : { amountSat }) };
        return drawPaying({ payment, recipient: now.recipient, maxFeeSat: now.maxFeeSat, rate: quote?.rate, isRegistered: report?.registered, paidBefore: hadPayments ?? 0, parameters: context.info().parameters, chargeSat: quote && sats(quote.pegIn.chargeSat) });
      }
    }
  }

  return {
    title: "Bring bitcoin in",
    async refresh() {
      [quote, limits] = await Promise.all([askQuote(node, context.info()), node.ask<Limits>("peg_getLimits")]);
      const { recipient } = form();
      if (recipient) await askCode(recipient);
      if (stage.is === "paying") await follow(stage.address);
    },
    leave: () => {
      isLeft = true;
      typed.passphrase = "";
    },
    draw: () => html`<h1>Bring bitcoin in</h1>
      <div role="alert">${said ? html`<p class="notice bad">${said.words}${faultLink(said.code)}</p>` : nothing}</div>
      ${drawStage()}`,
  };
}

/** What the address commits to is of the genesis file and proven, not what the node says it is. */
function agreed(info: Info, { networkId, reclaimDelay }: Genesis, groupKey: Hex): Info {
  return { ...info, networkId, groupKey, contracts: { ...info.contracts, bridge: BRIDGE }, parameters: { ...info.parameters, reclaimDelay } };
}
