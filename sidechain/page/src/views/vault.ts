// A vault transaction: what it sweeps, what it pays, what comes back, to the satoshi.
import { html, nothing, type TemplateResult } from "lit-html";
import { topicOf } from "../abi/decode.ts";
import type { Context, View } from "../app/view.ts";
import { type Log, word } from "../chain/answers.ts";
import { fewLogs, timeOf } from "../chain/logs.ts";
import { amount, sum } from "../draw/amount.ts";
import { Proof } from "../draw/proven.ts";
import { bitcoinTransaction, link, shortened } from "../draw/links.ts";
import { happened, raw } from "../draw/readings.ts";
import { share } from "../draw/share.ts";
import { steps } from "../draw/steps.ts";
import { counted } from "../draw/time.ts";
import { type VaultTransaction, sats } from "../peg/answers.ts";
import { outputAmounts } from "../peg/transaction_outputs.ts";
import { numberIn, vaultChip } from "./withdrawal.ts";

const OUTPUT: Record<VaultTransaction["output"], string> = {
  none: "It makes none: all of it is paid out.",
  pending: "It is there when the transaction is in a Bitcoin block.",
  live: "It is unspent: what the vault has.",
  spent: "Spent by a later vault transaction.",
  gone: "Spent by something that is no vault transaction: lost to the vault.",
  void: "It can never be there.",
};
/** Of its lists. */
const MOST_SHOWN = 250;

export function vault(context: Context, text = ""): View {
  const number = numberIn(text);
  const { node } = context;
  let found: VaultTransaction | null | undefined;
  let logs: Log[] = [];
  const proof = new Proof(context);
  return {
    title: `Vault transaction ${number ?? ""}`,
    every: 5_000,
    async refresh() {
      if (number === undefined) return;
      const { contracts } = context.info();
      const kinds = ["Bound", "Settled", "Unsettled", "Voided", "OutputGone", "Alarm"].map((name) => topicOf("vault", name));
      const [one, all] = await Promise.all([
        node.ask<VaultTransaction | null>("peg_getVaultTransaction", number),
        fewLogs(node, { address: contracts.vault, topics: [kinds, word(number)] }).catch(() => []),
      ]);
      if (one) await proof.ofVaultTransaction(number, one);
      [found, logs] = [one, all];
    },
    draw() {
      if (number === undefined) return html`<h1>There is no such vault transaction</h1><p>They have numbers from 1 on.</p>`;
      if (found === undefined) return html`<h1>Vault transaction ${number}</h1><p class="waiting">Asking the node…</p>`;
      if (!found) return html`<h1>There is no vault transaction ${number}</h1><p>So many were not made yet, or this node is behind. ${link(["requests"], "All requests")}</p>`;
      return whole(context, found, logs, proof.draw(), proof.warning());
    },
  };
}

function whole(context: Context, one: VaultTransaction, logs: Log[], proof: unknown, warning: TemplateResult): TemplateResult {
  const { bitcoinNetwork, parameters } = context.info();
  const { content } = one;
  const at = (event: string) => {
    const log = logs.findLast(({ topics }) => topics[0] === topicOf("vault", event));
    return log && timeOf(log);
  };
  const isSettled = one.status === "settled";
  const isFinal = isSettled && one.confirmations >= parameters.finalBlocks;
  const into = one.amountsSat.reduce((total, sat) => total + sats(sat), 0n);
  const out = into - sats(one.changeSat) - sats(one.feeSat);
  // Output 0 is the change, where there is one; the payouts follow, then the anchor by which anybody can pay more.
  const after = outputAmounts(one.transaction)?.slice(one.changeSat ? 1 : 0) ?? [];
  const first = after.slice(0, content.withdrawals.length);
  const paid = after.reduce((total, sat) => total + sat, 0n) === out ? first.reduce((total, sat) => total + sat, 0n) : out;
  return html`${warning}<h1>Vault transaction ${one.number}</h1>
    <p>
      ${content.deposits.length ? html`It sweeps ${counted(content.deposits.length, "deposit")}. ` : nothing}${content.withdrawals.length ? html`It pays ${counted(content.withdrawals.length, "withdrawal")}. ` : nothing}${vaultChip(one.status)}
    </p>
    ${steps(
      one.status === "void"
        ? [{ name: "Fixed, byte for byte", state: "done", at: at("Bound") }, { name: "Void: one of its inputs was spent by another", state: "failed", at: at("Voided"), note: "What it should have swept or paid is in another vault transaction, or waits for one." }]
        : [
            { name: "Fixed, byte for byte, and signed", state: "done", at: at("Bound") },
            { name: "In a Bitcoin block", state: isSettled ? "done" : "now", at: isSettled ? at("Settled") : undefined, note: one.height === null ? undefined : html`block ${one.height}, ${counted(one.confirmations, "confirmation")}` },
            { name: "Final", state: isFinal ? "done" : isSettled ? "now" : "coming" },
          ],
    )}
    ${proof}
    <dl class="facts">
      <dt>Bitcoin transaction</dt><dd>${bitcoinTransaction(bitcoinNetwork, one.txid)}</dd>
      <dt>Pays the miners</dt><dd>${content.rate / 1000} sat/vB, ${amount(sats(one.feeSat))} in all; of it at most ${amount(sats(content.reserveSat))} from the reserve</dd>
      <dt>Its vault output</dt><dd>${OUTPUT[one.output]}${one.spentBy === null ? nothing : html` ${link(["vault", one.spentBy], `Vault transaction ${one.spentBy}`)}`}</dd>
      <dt>Key</dt><dd>of epoch ${one.epoch}</dd>
      ${one.versions.length
        ? html`<dt>Others over the same inputs</dt><dd>${one.versions.slice(-16).map(({ number, status }) => html`${link(["vault", number], `Vault transaction ${number}`)} ${vaultChip(status)} `)}: of all these one confirms at most</dd>`
        : nothing}
    </dl>
    <h2>What goes in and out</h2>
    ${sum(
      [{ what: "Deposits and vault outputs that it spends", sat: into }, ...(paid ? [{ what: "Paid to withdrawals", sat: -paid }] : []), ...(out - paid ? [{ what: "Anchor, by which anybody can pay for a faster block", sat: paid - out }] : []), { what: "Fee of Bitcoin's miners", sat: -sats(one.feeSat) }],
      { what: "Back to the vault", sat: sats(one.changeSat) },
    )}
    <div class="sides">
      <div>
        <h3>It spends</h3>
        <ul>
          ${content.deposits.slice(0, MOST_SHOWN).map((outpoint, nth) => html`<li>${link(["deposit", outpoint], html`deposit ${shortened(outpoint)}`)}${part(one, nth)}</li>`)}
          ${content.outputs.slice(0, MOST_SHOWN).map((output, nth) => html`<li>${link(["vault", output], `vault output ${output}`)}${part(one, content.deposits.length + nth)}</li>`)}
        </ul>
      </div>
      <div>
        <h3>It pays</h3>
        <ul>
          ${content.withdrawals.slice(0, MOST_SHOWN).map((id, nth) => html`<li>${link(["withdrawal", id], `withdrawal ${id}`)}${first[nth] === undefined ? nothing : html`, ${amount(first[nth])}`}</li>`)}
          ${one.changeSat ? html`<li>the vault itself, ${amount(sats(one.changeSat))}</li>` : nothing}
        </ul>
      </div>
    </div>
    <h2>On the sidechain</h2>
    ${happened(context.info(), logs)}
    <details><summary>The transaction, unsigned</summary>${raw(one.transaction)}</details>
    ${share("vault", one.number)}`;
}

/** Amounts stand in the order of the inputs, which is that of the content: deposits, or vault outputs. */
function part({ amountsSat, content }: VaultTransaction, nth: number) {
  const sat = amountsSat[nth];
  return sat === undefined || amountsSat.length !== content.deposits.length + content.outputs.length ? nothing : html`, ${amount(sats(sat))}`;
}
