// A withdrawal: where it stands, what it waits for, what of it is paid on Bitcoin.
import { html, nothing, type TemplateResult } from "lit-html";
import { topicOf } from "../abi/decode.ts";
import type { Context, View } from "../app/view.ts";
import { addressOfScript } from "../bitcoin/address.ts";
import { bytesOf } from "../bitcoin/bytes.ts";
import { bill, withdrawalBill, withdrawalCharge } from "../bitcoin/fee.ts";
import { payeeOf } from "../bitcoin/script.ts";
import { type Log, word } from "../chain/answers.ts";
import { fewLogs, timeOf } from "../chain/logs.ts";
import { amount, sum } from "../draw/amount.ts";
import { bitcoinTransaction, link } from "../draw/links.ts";
import { account, happened, raw, wholeAddress } from "../draw/readings.ts";
import { chip, withdrawalChip } from "../draw/requests.ts";
import { Proof } from "../draw/proven.ts";
import { share } from "../draw/share.ts";
import { type Step, steps, waits as waitList } from "../draw/steps.ts";
import { counted, duration, moment } from "../draw/time.ts";
import { type Info, type VaultTransaction, type Withdrawal, sats } from "../peg/answers.ts";
import { type Outlook, look } from "../peg/outlook.ts";
import { blocksSeconds, needsAct, scriptBytes, withdrawalWaits } from "../peg/waits.ts";
import { actions } from "./actions.ts";

/** Numbers have fewer digits than make a float inexact. */
export function numberIn(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

export function withdrawal(context: Context, text = ""): View {
  const id = numberIn(text);
  const { node } = context;
  let found: Withdrawal | null | undefined;
  let outlook: Outlook | undefined;
  let versions: VaultTransaction[] = [];
  let logs: Log[] = [];
  const proof = new Proof(context);
  return {
    title: `Withdrawal ${id ?? ""}`,
    every: 3_000,
    async refresh() {
      if (id === undefined) return;
      const info = context.info();
      const kinds = ["WithdrawalQueued", "WithdrawalTied", "WithdrawalPaid", "WithdrawalUnpaid", "WithdrawalCancelled", "WithdrawalRefunded", "MaximumRaised", "TieEnded"].map((name) => topicOf("bridge", name));
      const [got, now, all] = await Promise.all([
        node.ask<Withdrawal | null>("peg_getWithdrawal", id),
        look(node, info),
        fewLogs(node, { address: info.contracts.bridge, topics: [kinds, word(id)] }).catch(() => []),
      ]);
      const numbers = [...new Set([...(got?.versions ?? []).slice(-16).map(({ number }) => number), ...(got?.paidBy ? [got.paidBy] : []), ...(got?.tie ? [got.tie] : [])])];
      const transactions = await Promise.all(numbers.map((number) => node.ask<VaultTransaction | null>("peg_getVaultTransaction", number).catch(() => null)));
      const made = transactions.filter((one) => one !== null);
      await (got ? proof.ofWithdrawal(id, got, made) : proof.ofNoWithdrawal(id));
      // The one whose output it is tied to does not pay it.
      [found, outlook, logs, versions] = [got, now, all, made.filter(({ number }) => got?.versions.some((version) => version.number === number) || number === got?.paidBy)];
    },
    draw() {
      if (id === undefined) return html`<h1>There is no such withdrawal</h1><p>Withdrawals have numbers from 1 on.</p>`;
      if (found === undefined || !outlook) return html`<h1>Withdrawal ${id}</h1><p class="waiting">Asking the node…</p>`;
      if (!found) return html`<h1>There is no withdrawal ${id}</h1><p>So many were not asked for yet, or this node is behind. ${link(["requests"], "All requests")}</p>${proof.warning()}${proof.draw()}`;
      return whole(context, found, outlook, versions, logs, proof);
    },
  };
}

function whole(context: Context, one: Withdrawal, outlook: Outlook, versions: VaultTransaction[], logs: Log[], proof: Proof): TemplateResult {
  const info = context.info();
  const { rate } = outlook;
  const bytes = bytesOf(one.script.slice(2));
  const address = bytes && addressOfScript(bytes, info.bitcoinNetwork);
  const chargeSat = withdrawalCharge(scriptBytes(one), BigInt(rate.rate), info.parameters).totalSat;
  // Money that needs its owner comes first.
  const isUrgent = needsAct(one, outlook);
  const act = proof.guarded(actions(context, { is: "withdrawal", withdrawal: one, chargeSat }));
  return html`${proof.warning()}<h1>Withdrawal ${one.id}</h1>
    <p class="big">${amount(sats(one.amountSat))} ${withdrawalChip(one.status)}</p>
    ${isUrgent ? act : nothing} ${steps(line(one, versions, logs, info))} ${waitList(withdrawalWaits(one, outlook, replacedBy(one, versions)))}
    ${isUrgent ? nothing : act} ${bills(one, outlook, versions)}
    ${proof.draw()}
    <h2>What it is</h2>
    <dl class="facts">
      <dt>Paid to</dt><dd>${address ? wholeAddress(info, address) : raw(one.script)}</dd>
      <dt>Asked for by</dt><dd>${account(info, one.owner)}, ${moment(one.askedAt)}</dd>
      <dt>Pays at most</dt><dd>${amount(sats(one.maxFeeSat))}${one.status === "queued" || one.status === "tied" ? html` (it costs ${amount(chargeSat)} now)` : nothing}</dd>
      ${one.tie === null ? nothing : html`<dt>Tied to</dt><dd>${link(["vault", one.tie], `vault output ${one.tie}`)}: whatever pays it spends that, so it is never paid twice</dd>`}
    </dl>
    ${one.versions.length
      ? html`<h2>${one.versions.length === 1 ? "The Bitcoin transaction that pays it" : "Bitcoin transactions that pay it: one of them confirms at most"}</h2>
          <ul>
            ${one.versions.slice(-16).map(
              ({ number, txid, status, chargeSat: charge }) =>
                html`<li>${link(["vault", number], `Vault transaction ${number}`)}: ${bitcoinTransaction(info.bitcoinNetwork, txid)} ${vaultChip(status)}, ${amount(sats(one.amountSat) - sats(charge))} to the payee</li>`,
            )}
          </ul>`
      : nothing}
    <h2>On the sidechain</h2>
    ${happened(info, logs)} ${share("withdrawal", one.id)}`;
}

export function vaultChip(status: VaultTransaction["status"]): TemplateResult {
  return { bound: chip({ word: "waits for Bitcoin", tone: "going" }), settled: chip({ word: "in a block", tone: "good" }), void: chip({ word: "never confirms", tone: "bad" }) }[status];
}

function line(one: Withdrawal, versions: readonly VaultTransaction[], logs: readonly Log[], info: Info): Step[] {
  const at = (event: string) => {
    const log = logs.findLast(({ topics }) => topics[0] === topicOf("bridge", event));
    return log && timeOf(log);
  };
  const asked: Step = { name: "Asked for", state: "done", at: one.askedAt, note: "The coins are taken in." };
  if (one.status === "cancelled") return [asked, { name: "Cancelled", state: "done", at: at("WithdrawalCancelled"), note: "The coins are back with their owner, all of them." }];
  if (one.status === "refunded") return [asked, { name: "Given back", state: "done", at: at("WithdrawalRefunded"), note: "It waited too long: the coins are back with their owner, all of them." }];
  const isTied = one.status !== "queued";
  const isPaid = one.status === "paid";
  const paid = versions.find(({ number }) => number === one.paidBy);
  const { finalBlocks } = info.parameters;
  const confirmations = paid?.confirmations ?? 0;
  const isFinal = isPaid && confirmations >= finalBlocks;
  const seconds = blocksSeconds(finalBlocks - confirmations, info);
  return [
    asked,
    { name: "Payout fixed and signed", state: isTied ? "done" : "now", at: isTied ? at("WithdrawalTied") : undefined },
    { name: "In a Bitcoin block", state: isPaid ? "done" : isTied ? "now" : "coming", at: isPaid ? at("WithdrawalPaid") : undefined, note: paid?.height ? html`block ${paid.height}, ${counted(confirmations, "confirmation")}` : undefined },
    {
      name: "Final",
      state: isFinal ? "done" : isPaid ? "now" : "coming",
      note: isPaid && !isFinal ? `${confirmations} of ${counted(finalBlocks, "confirmation")}${seconds ? `, about ${duration(seconds)} more` : ""}: yours to spend already` : undefined,
    },
  ];
}

/** The settled transaction that spent what its newest version would have: it is among the versions of that one, and does not pay it. */
function replacedBy(one: Withdrawal, versions: readonly VaultTransaction[]): { by: number; confirmations: number } | undefined {
  if (one.status !== "tied") return undefined;
  const newest = versions.findLast(({ status }) => status === "bound");
  const by = newest?.versions.find(({ status, number }) => status === "settled" && !one.versions.some((own) => own.number === number));
  if (!by) return undefined;
  return { by: by.number, confirmations: versions.find(({ number }) => number === by.number)?.confirmations ?? 1 };
}

/** Exact by the version that paid it, or that is on its way; by the present rate before. */
function bills(one: Withdrawal, { rate, info }: Outlook, versions: readonly VaultTransaction[]): TemplateResult {
  const sent = sats(one.amountSat);
  if (one.status === "cancelled" || one.status === "refunded") {
    return html`<h2>What came of it</h2>${sum([{ what: "Taken in", sat: sent }, { what: "Fees", sat: 0n }], { what: "Coins given back", sat: sent })}`;
  }
  const version = one.versions.find(({ number }) => number === one.paidBy) ?? one.versions.findLast(({ status }) => status !== "void");
  const made = versions.find(({ number }) => number === version?.number);
  const bytes = bytesOf(one.script.slice(2));
  const payee = bytes && payeeOf(bytes);
  const most = sats(one.maxFeeSat);
  if (version) {
    const charge = sats(version.chargeSat);
    const parts = made && bill(sent, charge, withdrawalCharge(scriptBytes(one), BigInt(made.content.rate), info.parameters));
    const lines = parts && parts.receivedSat === sent - charge ? [{ what: "Bitcoin's part of the payout", sat: -parts.bitcoinSat }, { what: "Fee of the peg", sat: -parts.pegSat }] : [{ what: "Payout and fee of the peg", sat: -charge }];
    return html`<h2>${one.status === "paid" ? "What came of it" : "What comes of it by the payout that is on its way"}</h2>
      ${sum([{ what: "Taken in", sat: sent }, ...lines], { what: one.status === "paid" ? "Received on Bitcoin" : "To be received on Bitcoin", sat: sent - charge })}`;
  }
  if (!payee) return html``;
  const now = withdrawalBill(sent, most, BigInt(rate.rate), payee, info.parameters);
  return html`<h2>What comes of it at ${rate.rate / 1000} sat/vB, and at least ${amount(sent - most)} at any</h2>
    ${sum([{ what: "Taken in", sat: sent }, { what: "Bitcoin's part of the payout", sat: -now.bitcoinSat }, { what: "Fee of the peg", sat: -now.pegSat }], { what: "To be received on Bitcoin", sat: now.receivedSat })}`;
}
