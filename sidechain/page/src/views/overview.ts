// The first screen. It answers three questions: is everything there, does everything work, how long does it take now.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { amount } from "../draw/amount.ts";
import { ago, counted, duration } from "../draw/time.ts";
import { bitcoinBlock, bitcoinTransaction, link } from "../draw/links.ts";
import { plainName } from "../draw/names.ts";
import { chart } from "../draw/chart.ts";
import { ReservesProof, type Verdict, books, isEverythingThere } from "../draw/reserves.ts";
import { type History, type Range, history, rangeOf } from "../peg/history.ts";
import { type DepositList, type Info, type Quote, type Vault, type WithdrawalList, sats } from "../peg/answers.ts";
import { deposits, withdrawals } from "../draw/requests.ts";
import { type Condition, conditions } from "../peg/conditions.ts";
import { type Outlook, look } from "../peg/outlook.ts";

/** Requests of each kind on the first screen. */
const NEWEST = 5;
/** Seconds until what was is asked for again: it changes little. */
const PAST_EVERY_S = 60;

export function overview(context: Context): View {
  let outlook: Outlook | undefined;
  let past: History | undefined;
  let pastAt = 0;
  let isLeft = false;
  const proof = new ReservesProof(context);
  let newest: { deposits: DepositList; withdrawals: WithdrawalList } | undefined;
  const redraw = () => {
    if (!isLeft) context.redraw();
  };

  return {
    title: "Overview",
    async refresh() {
      const { node } = context;
      const [stands, in_, out] = await Promise.all([
        look(node, context.info()),
        node.ask<DepositList>("peg_getDeposits", {}, null, NEWEST),
        node.ask<WithdrawalList>("peg_getWithdrawals", {}, null, NEWEST),
      ]);
      [outlook, newest] = [stands, { deposits: in_, withdrawals: out }];
      // The first screen does not wait for what follows, nor does it fail where a node keeps no past.
      void proof.refresh().then(redraw);
      if (context.now() - pastAt < PAST_EVERY_S) return;
      pastAt = context.now();
      void history(node, context.info()).then(
        (found) => {
          past = found;
          redraw();
        },
        () => undefined,
      );
    },
    leave() {
      isLeft = true;
    },
    draw() {
      const info = context.info();
      return html`
        <h1 class="only-read">Overview</h1>
        <div class="answers">
          ${isEverythingThere(info, proof.verdict, context.now())} ${outlook ? doesEverythingWork([...conditions(info, outlook.limits, context.now(), proof.age), ...absent(outlook)]) : waiting("Does everything work?")}
          ${outlook ? howLong(info, outlook.quote, past) : waiting("How long does it take now?")}
        </div>
        ${books(info, proof.verdict, context.now())}
        ${past && past.standings.length > 1 ? html`<section><h2>Reserves and flows</h2><p class="none">By the node's word: what was before is not proven here.</p>${chart(past.standings, past.flows)}</section>` : nothing}
        ${outlook ? html`${rightNow(info, outlook, context.now())} ${outputList(info, outlook.vault, proof.verdict)}` : nothing}
        ${newest
          ? html`<section>
              <p class="none">Lists are the node's word; the page of each request proves it.</p>
              <h2>Newest deposits</h2>
              ${deposits(newest.deposits.deposits)}
              <h2>Newest withdrawals</h2>
              ${withdrawals(newest.withdrawals.withdrawals)}
              <p>${link(["requests"], "All requests")}</p>
            </section>`
          : nothing}
      `;
    },
  };
}

function waiting(question: string): TemplateResult {
  return html`<section class="card" aria-busy="true"><h2>${question}</h2><p class="big">…</p></section>`;
}

function doesEverythingWork(found: Condition[]): TemplateResult {
  const isBad = found.some((condition) => condition.stops);
  return html`<section class="card ${isBad ? "bad" : found.length ? "doubtful" : "good"}">
    <h2>Does everything work?</h2>
    <p class="big">${isBad ? "No" : found.length ? "Yes, but" : "Yes"}</p>
    ${found.length ? html`<ul>${found.map(({ text }) => html`<li>${text}</li>`)}</ul>` : html`<p>Blocks are made, Bitcoin's headers are followed, payouts are not paused.</p>`}
  </section>`;
}

/** Members that the others wait for; only so many that too few are left stop anything. */
function absent({ waitedFor, info }: Outlook): Condition[] {
  if (!waitedFor.length || info.groupKey === null) return [];
  const stops = info.members.length - waitedFor.length < info.threshold;
  const who = waitedFor.map(({ member, name }) => `member ${member} (${plainName(name)})`).slice(0, 10).join(", ");
  return [{ stops, text: `The federation waits for ${who}. ${stops ? "Too few are left to sign: sweeps and payouts wait until they are back. Nothing is lost, and what is queued can be cancelled." : "Enough others sign."}` }];
}

/** Seconds between Bitcoin's blocks, on average. */
const BLOCK_S = 600;

function howLong({ parameters, bitcoinNetwork }: Info, quote: Quote, past: History | undefined): TemplateResult {
  const first = parameters.tiers[0];
  const last = parameters.tiers.at(-1);
  const depth = first && last ? (first.confirmations === last.confirmations ? counted(first.confirmations, "confirmation") : `${first.confirmations} to ${counted(last.confirmations, "confirmation")}, the more the larger it is`) : "";
  const isFast = bitcoinNetwork === "regtest";
  return html`<section class="card">
    <h2>How long does it take now?</h2>
    <p class="big">${isFast ? "As fast as blocks are mined" : html`In: from ${duration((first?.confirmations ?? 1) * BLOCK_S)}`}</p>
    <p>In: ${depth}; costs ${amount(sats(quote.pegIn.chargeSat))}. Out: mostly the next Bitcoin block; costs ${amount(sats(quote.pegOut.chargeSat))} at ${quote.rate / 1000} sat/vB.</p>
    ${past ? html`${took("deposit", "from the proof to the coins", rangeOf(past.depositTook))} ${took("payout", "from the request to the payout's block", rangeOf(past.payoutTook))}` : nothing}
  </section>`;
}

/** What was measured, beside what is promised. */
function took(what: string, between: string, range: Range | undefined): TemplateResult | typeof nothing {
  if (!range) return nothing;
  return html`<p>${range.count === 1 ? `The last ${what} took ${duration(range.median)}` : `The last ${counted(range.count, what)} took ${duration(range.median)} in the middle, ${duration(range.least)} to ${duration(range.most)}`}, ${between}.</p>`;
}

/** Outputs of the vault on the first screen; a node names 256. */
const MOST_OUTPUTS = 12;

interface ListedOutput {
  number: number;
  txid: string;
  amountSat: bigint;
}

/** Proven ones are all that the vault has: they are worth what the proven books count. */
function outputList({ bitcoinNetwork }: Info, vault: Vault, verdict: Verdict | undefined): TemplateResult {
  const proven = verdict && "reserves" in verdict ? verdict.reserves : undefined;
  const outputs: ListedOutput[] = proven?.outputs ?? vault.outputs.map(({ number, txid, amountSat }) => ({ number, txid, amountSat: sats(amountSat) }));
  const largest = [...outputs].sort((a, b) => Number(b.amountSat - a.amountSat) || a.number - b.number);
  const rest = largest.slice(MOST_OUTPUTS).reduce((total, output) => total + output.amountSat, 0n);
  return html`<section>
    <h2>The vault's outputs on Bitcoin</h2>
    <p class="none">${proven ? html`<span aria-hidden="true">✓</span> Proven as of block ${link(["block", proven.header.number], proven.header.number)}: together they are what the books count.` : `By the node's word${verdict ? ", which it cannot prove" : "; being proven"}.`}</p>
    ${outputs.length
      ? html`<div class="scroll" tabindex="0" role="region" aria-label="Outputs of the vault">
          <table>
            <thead><tr><th scope="col">Output</th><th scope="col">Bitcoin transaction</th><th scope="col" class="number">Amount</th></tr></thead>
            <tbody>
              ${largest.slice(0, MOST_OUTPUTS).map(({ number, txid, amountSat }) => html`<tr><td>${link(["vault", number], `Vault output ${number}`)}</td><td>${bitcoinTransaction(bitcoinNetwork, txid)}, output 0</td><td class="number">${amount(amountSat)}</td></tr>`)}
              ${rest ? html`<tr><td colspan="2">${counted(outputs.length - MOST_OUTPUTS, "smaller one")}</td><td class="number">${amount(rest)}</td></tr>` : nothing}
            </tbody>
          </table>
        </div>`
      : html`<p class="none">None yet.</p>`}
    ${vault.pending.length ? html`<p>On their way, by the node's word: ${vault.pending.slice(-MOST_OUTPUTS).map(({ number }, at) => html`${at ? ", " : ""}${link(["vault", number], `vault transaction ${number}`)}`)}.</p>` : nothing}
  </section>`;
}

/** The tip, the fees and the limits, as numbers. */
function rightNow(info: Info, { limits, rate }: Outlook, now: number): TemplateResult {
  const { parameters, bitcoinTip, bitcoinNetwork, head } = info;
  return html`<section>
    <h2>Right now</h2>
    <p class="none">By the node's word, but for the peg's own fees and limits: those are of the genesis file.</p>
    <dl class="facts">
      <dt>Newest block here</dt><dd>${link(["block", head.number], head.number)}, ${ago(head.timestamp, now)}</dd>
      <dt>Newest Bitcoin block in the ledger</dt><dd>${bitcoinTip.height}, ${bitcoinBlock(bitcoinNetwork, bitcoinTip.hash)}, ${duration(bitcoinTip.lagSeconds)} before the newest block here</dd>
      <dt>Fees</dt><dd>${rate.rate / 1000} sat/vB on Bitcoin; of the peg ${amount(sats(parameters.pegInFeeSat))} a deposit and ${amount(sats(parameters.pegOutFeeSat))} a withdrawal</dd>
      <dt>Smallest</dt><dd>${amount(sats(parameters.minDepositSat))} in, ${amount(sats(parameters.minWithdrawalSat))} out</dd>
      <dt>The peg may hold</dt><dd>${amount(sats(parameters.capSat))}, of which ${amount(sats(limits.capUsedSat))} are used</dd>
      <dt>May be begun to be paid out</dt><dd>${amount(sats(limits.windowLeftSat))} now, ${amount(sats(parameters.windowSat))} in ${duration(parameters.windowSeconds)}</dd>
    </dl>
  </section>`;
}
