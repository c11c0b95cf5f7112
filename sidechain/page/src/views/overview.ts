// The first screen. It answers three questions: is everything there, does everything work, how long does it take now.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { amount, sum } from "../draw/amount.ts";
import { counted, duration } from "../draw/time.ts";
import { link, route } from "../draw/links.ts";
import { type Books, type DepositList, type Info, type Limits, type Quote, type WithdrawalList, sats } from "../peg/answers.ts";
import { deposits, withdrawals } from "../draw/requests.ts";
import { type Condition, conditions } from "../peg/conditions.ts";

/** Requests of each kind on the first screen. */
const NEWEST = 5;

export function overview(context: Context): View {
  let limits: Limits | undefined;
  let quote: Quote | undefined;
  let newest: { deposits: DepositList; withdrawals: WithdrawalList } | undefined;
  return {
    title: "Overview",
    async refresh() {
      const { node } = context;
      const [got, price, in_, out] = await Promise.all([
        node.ask<Limits>("peg_getLimits"),
        node.ask<Quote>("peg_quote"),
        node.ask<DepositList>("peg_getDeposits", {}, null, NEWEST),
        node.ask<WithdrawalList>("peg_getWithdrawals", {}, null, NEWEST),
      ]);
      [limits, quote, newest] = [got, price, { deposits: in_, withdrawals: out }];
    },
    draw() {
      const info = context.info();
      return html`
        <h1 class="only-read">Overview</h1>
        <div class="answers">
          ${isEverythingThere(info.books)} ${limits ? doesEverythingWork(conditions(info, limits, context.now())) : waiting("Does everything work?")}
          ${quote ? howLong(info, quote) : waiting("How long does it take now?")}
        </div>
        ${books(info.books)}
        ${newest
          ? html`<section>
              <h2>Newest deposits</h2>
              ${deposits(info, newest.deposits.deposits)}
              <h2>Newest withdrawals</h2>
              ${withdrawals(info, newest.withdrawals.withdrawals)}
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

function isEverythingThere(books: Books): TemplateResult {
  const missing = sats(books.lostSat) + sats(books.unsweptSat);
  return html`<section class="card ${missing ? "bad" : "good"}">
    <h2>Is everything there?</h2>
    <p class="big">${missing ? html`${amount(missing)} are missing` : "Yes, every satoshi"}</p>
    <p>${amount(sats(books.supplySat))} are outside, ${amount(sats(books.vaultSat))} in the vault, by the ledger's books. <a href=${route("evidence")}>Check it in this browser</a>.</p>
  </section>`;
}

function doesEverythingWork(found: Condition[]): TemplateResult {
  const isBad = found.some((condition) => condition.stops);
  return html`<section class="card ${isBad ? "bad" : found.length ? "doubtful" : "good"}">
    <h2>Does everything work?</h2>
    <p class="big">${isBad ? "No" : found.length ? "Yes, but" : "Yes"}</p>
    ${found.length ? html`<ul>${found.map(({ text }) => html`<li>${text}</li>`)}</ul>` : html`<p>Blocks are made, Bitcoin's headers are followed, payouts are not paused.</p>`}
  </section>`;
}

/** Seconds between Bitcoin's blocks, on average. */
const BLOCK_S = 600;

function howLong({ parameters, bitcoinNetwork }: Info, quote: Quote): TemplateResult {
  const first = parameters.tiers[0];
  const last = parameters.tiers.at(-1);
  const depth = first && last ? (first.confirmations === last.confirmations ? counted(first.confirmations, "confirmation") : `${first.confirmations} to ${counted(last.confirmations, "confirmation")}, the more the larger it is`) : "";
  const isFast = bitcoinNetwork === "regtest";
  return html`<section class="card">
    <h2>How long does it take now?</h2>
    <p class="big">${isFast ? "As fast as blocks are mined" : html`In: from ${duration((first?.confirmations ?? 1) * BLOCK_S)}`}</p>
    <p>In: ${depth}; costs ${amount(sats(quote.pegIn.chargeSat))}. Out: mostly the next Bitcoin block; costs ${amount(sats(quote.pegOut.chargeSat))} at ${quote.rate / 1000} sat/vB.</p>
  </section>`;
}

function books(books: Books): TemplateResult {
  const there = [
    { what: "In the vault, on Bitcoin", sat: sats(books.vaultSat) },
    { what: "Minted for deposits that are swept again later", sat: sats(books.unsweptSat) },
    { what: "Lost", sat: sats(books.lostSat) },
  ];
  const all = there.reduce((total, line) => total + line.sat, 0n);
  const owed = [
    { what: "Coins outside the bridge", sat: sats(books.supplySat) },
    { what: "Coins that somebody can claim", sat: sats(books.unclaimedSat) },
    { what: "Withdrawals under way", sat: sats(books.owedSat) },
    { what: "Deposits under way", sat: sats(books.unmintedSat) },
    { what: "The bridge's reserve", sat: sats(books.reserveSat) },
  ];
  const claimed = owed.reduce((total, line) => total + line.sat, 0n);
  const rest = all - claimed;
  return html`<section>
    <h2>The books</h2>
    <div class="sides">
      <div><h3>What is there</h3>${sum(there.filter((line, at) => at === 0 || line.sat), { what: "Together", sat: all })}</div>
      <div>
        <h3>Whose it is</h3>
        ${sum([...owed.filter(({ sat }) => sat), ...(rest ? [{ what: rest > 0n ? "Nobody's: given away, or less than a satoshi of somebody" : "Missing", sat: rest }] : [])], { what: "Together", sat: all })}
      </div>
    </div>
  </section>`;
}

