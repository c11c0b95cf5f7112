// What is an owner's: money that waits for an act first, then what is under way, then what was.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Hex } from "viem";
import type { Context, View } from "../app/view.ts";
import { readAccount } from "../bitcoin/receiver.ts";
import { wrapped } from "../chain/ledger.ts";
import { belowLeast, scriptBytes } from "../peg/waits.ts";
import { withdrawalCharge } from "../bitcoin/fee.ts";
import { amount } from "../draw/amount.ts";
import { faultLink } from "../draw/fault.ts";
import { link, shortened } from "../draw/links.ts";
import { accountWords, provenOr } from "../draw/proven.ts";
import { deposits as depositTable, withdrawals as withdrawalTable } from "../draw/requests.ts";
import { counted } from "../draw/time.ts";
import { coins } from "../draw/wei.ts";
import { type ProvenAccount, proveAccount } from "../evidence/live.ts";
import type { Node } from "../node.ts";
import { type Deposit, type DepositList, type DepositReport, type Quote, type Withdrawal, type WithdrawalList, sats } from "../peg/answers.ts";
import { type Begun, begun } from "../peg/begun.ts";
import { askQuote } from "../peg/quote.ts";
import { connection } from "../wallet/connect.ts";
import { type Request, actions, isTold, isUrgent, told } from "./actions.ts";

/** Of each kind on a page of a node, the newest, and how many pages are asked for. */
const ON_PAGE = 50;
const MOST_PAGES = 4;
/** Addresses begun in this browser that are asked for. */
const MOST_BEGUN = 20;

type Listed = Deposit & { address: string };

interface Facts {
  account: Hex;
  /** What it has and can claim: as it is proven, or why it is not. */
  proven: ProvenAccount | { failed: string };
  isContract: boolean;
  tokens: bigint;
  deposits: DepositList;
  withdrawals: WithdrawalList;
  begun: { one: Begun; report: DepositReport }[];
  quote: Quote;
}

/** `own` of the connected account, or `own/0x…` of any: who reads is not taken for the owner of one that no wallet here shows. */
export function own(context: Context, text = ""): View {
  const { node, wallet } = context;
  let said: { words: string; code: string | undefined } | undefined;
  let facts: Facts | undefined;
  const say = (words: string | undefined, code?: string) => {
    said = words === undefined ? undefined : { words, code };
    context.redraw();
  };
  const whose = () => readAccount(text) ?? (text ? undefined : wallet.account);
  const isYours = () => !text || (wallet.account !== undefined && whose() === wallet.account);
  const title = () => (isYours() ? "Yours" : "Requests of an account");

  return {
    get title() {
      return title();
    },
    get place() {
      return isYours() ? "own" : "";
    },
    every: 3_000,
    async refresh() {
      const account = whose();
      if (!account) {
        facts = undefined;
        return;
      }
      const info = context.info();
      const addresses = begun(info.networkId).filter(({ recipient }) => recipient === account).slice(0, MOST_BEGUN);
      const [proven, code, tokens, list, out, quote, reports] = await Promise.all([
        provenOr(proveAccount(node, context.genesis, account)),
        node.ask<string>("eth_getCode", account, "latest"),
        wrapped(node, info, account),
        depositsOf(node, account),
        withdrawalsOf(node, account),
        askQuote(node, info),
        Promise.all(addresses.map(async (one) => ({ one, report: await node.ask<DepositReport>("peg_getDeposit", one.address) }))),
      ]);
      facts = { account, proven, isContract: code !== "0x", tokens, deposits: list, withdrawals: out, begun: reports, quote };
    },
    draw: () => html`<h1>${title()}</h1>
      ${text ? html`<p>Of ${shortened(text)}. ${isYours() ? nothing : link(["own"], "Those of the connected wallet")}</p>` : connection(context, say)}
      <div role="alert">${said ? html`<p class="notice bad">${said.words}${faultLink(said.code)}</p>` : nothing}</div>
      ${text && !whose() ? html`<p class="notice bad">This is no account: 0x and 40 digits, with the capitals of its checksum, or none.</p>` : facts && facts.account === whose() ? drawFacts(context, facts, isYours()) : whose() ? html`<p class="waiting">Asking the node…</p>` : other(context)}`,
  };
}

/** Without a wallet any account can be looked at: what is on a chain is no secret. */
function other(context: Context): TemplateResult {
  const open = (event: SubmitEvent) => {
    event.preventDefault();
    const typed = new FormData(event.currentTarget as HTMLFormElement).get("account");
    if (typeof typed === "string" && typed.trim()) context.go("own", typed.trim());
  };
  return html`<form class="flow" @submit=${open}>
    <p class="field"><label for="account">Or look at an account without a wallet</label><input id="account" name="account" class="wide" maxlength="100" placeholder="0x…" autocomplete="off" spellcheck="false" /></p>
    <p><button>Show</button></p>
  </form>`;
}

function drawFacts(context: Context, facts: Facts, isYours: boolean): TemplateResult {
  const { deposits, withdrawals } = facts;
  const all = requests(context, facts);
  const waiting = all.filter(({ request }) => isUrgent(context, request));
  const done = all.filter((one) => !waiting.includes(one) && isTold(one.request));
  const going = { in: deposits.deposits.filter(isGoing), out: withdrawals.withdrawals.filter(isOpen) };
  const unpaid = facts.begun.filter(({ report }) => !report.deposits.length);
  return html`
    ${done.map(({ request }) => told(request))}
    ${waiting.length
      ? html`<section>
          <h2>Waits for ${isYours ? "you" : "its owner"}</h2>
          ${waiting.map(({ title, request }) => html`<div class="card doubtful"><h3>${title}</h3>${actions(context, request)}</div>`)}
        </section>`
      : "failed" in facts.proven
        ? nothing
        : html`<p class="notice">No money waits for an act of ${isYours ? "yours" : "its owner"}, as far as can be seen here. That nothing can be claimed is proven; that no deposit or withdrawal waits is the node's word, of ${looked(deposits.deposits.length, deposits.next, "deposit")} and ${looked(withdrawals.withdrawals.length, withdrawals.next, "withdrawal")}. A node that leaves one out is found by its own page, or by <code>causeway status</code>.</p>`}
    <dl class="facts">
      ${"failed" in facts.proven ? nothing : html`<dt>Coins</dt><dd>${coins(facts.proven.balance)}</dd>`}
      ${facts.tokens ? html`<dt>Wrapped coins</dt><dd>${coins(facts.tokens)}</dd>` : nothing}
      <dt>On its way in</dt><dd>${amount(together(going.in.map(({ amountSat }) => amountSat)))}, in ${counted(going.in.length, "deposit")}</dd>
      <dt>On its way out</dt><dd>${amount(together(going.out.map(({ amountSat }) => amountSat)))}, in ${counted(going.out.length, "withdrawal")}</dd>
    </dl>
    ${accountWords(facts.proven, context.now())}
    ${unpaid.length
      ? html`<h2>Addresses of which the ledger has no payment</h2>
          <p class="none">${belowLeast(context.info().parameters)}</p>
          <ul>${unpaid.map(({ one }) => html`<li>${link(["in", one.address], shortened(one.address))}, made ${new Date(one.at * 1000).toLocaleString()}</li>`)}</ul>`
      : nothing}
    <h2>Deposits</h2>
    ${depositTable(deposits.deposits)}
    <h2>Withdrawals</h2>
    ${withdrawalTable(withdrawals.withdrawals)}
    ${deposits.next || withdrawals.next ? html`<p class="none">There are older ones: ${link(["requests", "deposits"], "all deposits")}, ${link(["requests", "withdrawals"], "all withdrawals")}.</p>` : nothing}
    <p>${link(["account", facts.account], "All that the chain knows of this account")}</p>
  `;
}

/** How far a node was asked. */
const looked = (count: number, next: unknown, what: string): string => (next === null ? `all ${counted(count, what)} that it names` : `the newest ${counted(count, what)}, and there are older ones`);

async function depositsOf(node: Node, recipient: Hex): Promise<DepositList> {
  let list = await node.ask<DepositList>("peg_getDeposits", { recipient }, null, ON_PAGE);
  for (let page = 1; page < MOST_PAGES && list.next; page++) {
    const older = await node.ask<DepositList>("peg_getDeposits", { recipient }, list.next, ON_PAGE);
    list = { ...older, deposits: [...list.deposits, ...older.deposits] };
  }
  return list;
}

async function withdrawalsOf(node: Node, owner: Hex): Promise<WithdrawalList> {
  let list = await node.ask<WithdrawalList>("peg_getWithdrawals", { owner }, null, ON_PAGE);
  for (let page = 1; page < MOST_PAGES && list.next !== null; page++) {
    const older = await node.ask<WithdrawalList>("peg_getWithdrawals", { owner }, list.next, ON_PAGE);
    list = { ...older, withdrawals: [...list.withdrawals, ...older.withdrawals] };
  }
  return list;
}

const isGoing = ({ status }: Deposit) => status === "proven" || status === "swept";
const isOpen = ({ status }: Withdrawal) => status === "queued" || status === "tied";
const together = (amounts: readonly number[]) => amounts.reduce((all, sat) => all + sats(sat), 0n);

/** What its owner may have to act on, the largest kind of trouble first. */
function requests(context: Context, { account, proven, isContract, deposits, withdrawals, quote }: Facts): { title: TemplateResult; request: Request }[] {
  const { parameters } = context.info();
  const claimableSat = "failed" in proven ? 0n : proven.claimableSat;
  return [
    { title: html`${amount(claimableSat)} to claim`, request: { is: "claimable", account, amountSat: claimableSat, isContract } },
    ...withdrawals.withdrawals.map((withdrawal) => ({
      title: html`${link(["withdrawal", withdrawal.id], `Withdrawal ${withdrawal.id}`)}, ${amount(sats(withdrawal.amountSat))}`,
      request: { is: "withdrawal" as const, withdrawal, chargeSat: withdrawalCharge(scriptBytes(withdrawal), BigInt(quote.rate), parameters).totalSat },
    })),
    ...deposits.deposits.filter(isGoing).map((deposit: Listed) => ({
      title: html`${link(["deposit", `${deposit.txid}:${deposit.vout}`], "A deposit")}, ${amount(sats(deposit.amountSat))}`,
      request: { is: "deposit" as const, deposit, address: deposit.address },
    })),
  ];
}
