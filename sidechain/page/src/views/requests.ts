// All deposits, withdrawals and vault transactions, the newest first, page by page; open ones alone; of one account.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { amount } from "../draw/amount.ts";
import { bitcoinTransaction, link } from "../draw/links.ts";
import { deposits as depositTable, withdrawals as withdrawalTable } from "../draw/requests.ts";
import { counted } from "../draw/time.ts";
import { type DepositList, type DepositPlace, type Info, type VaultTransaction, type VaultTransactionList, type WithdrawalList, sats } from "../peg/answers.ts";
import { vaultChip } from "./withdrawal.ts";

const ON_PAGE = 20;
const KINDS = { open: "Open", deposits: "Deposits", withdrawals: "Withdrawals", vault: "Vault transactions" } as const;
type Kind = keyof typeof KINDS;

/** `requests/KIND/BELOW`; BELOW is where the page before said that the next one begins. */
export function requests(context: Context, kind = "open", below = ""): View {
  const { node } = context;
  const wanted: Kind = Object.hasOwn(KINDS, kind) ? (kind as Kind) : "open";
  let body: ((info: Info) => TemplateResult) | undefined;
  return {
    title: "Requests",
    every: 5_000,
    async refresh() {
      if (wanted === "open") {
        const [out, newest] = await Promise.all([
          node.ask<WithdrawalList>("peg_getWithdrawals", { open: true }, numberOrNull(below), ON_PAGE),
          node.ask<DepositList>("peg_getDeposits", {}, null, 100),
        ]);
        body = () => open(out, newest);
      } else if (wanted === "deposits") {
        const list = await node.ask<DepositList>("peg_getDeposits", {}, placeIn(below), ON_PAGE);
        body = () => html`<h2>Deposits</h2>${depositTable(list.deposits)}${older(wanted, list.next && `${list.next.block}.${list.next.logIndex}`)}${missing(list.sinceBlock)}`;
      } else if (wanted === "withdrawals") {
        const list = await node.ask<WithdrawalList>("peg_getWithdrawals", {}, numberOrNull(below), ON_PAGE);
        body = () => html`<h2>Withdrawals</h2>${withdrawalTable(list.withdrawals)}${older(wanted, list.next)}`;
      } else {
        const list = await node.ask<VaultTransactionList>("peg_getVaultTransactions", numberOrNull(below), ON_PAGE);
        body = (info) => html`<h2>Vault transactions</h2>${vaultTable(info, list.vaultTransactions)}${older(wanted, list.next)}${missing(list.sinceBlock)}`;
      }
    },
    draw() {
      return html`<h1>Requests</h1>
        <nav aria-label="Kinds of requests">${Object.entries(KINDS).map(([name, text]) => html`<a href="#/requests/${name}" aria-current=${name === wanted ? "page" : nothing}>${text}</a>`)}</nav>
        <p class="none">Lists are the node's word; the page of each request proves it.</p>
        ${below ? html`<p>${link(["requests", wanted], "The newest")}</p>` : nothing} ${body ? body(context.info()) : html`<p class="waiting">Asking the node…</p>`}`;
    },
  };
}

function open(out: WithdrawalList, newest: DepositList): TemplateResult {
  const going = newest.deposits.filter(({ status }) => status === "proven" || status === "swept");
  return html`<h2>Withdrawals under way</h2>
    ${withdrawalTable(out.withdrawals)}${older("open", out.next)}
    <h2>Deposits under way</h2>
    ${depositTable(going)}
    ${newest.next ? html`<p>Among the newest ${newest.deposits.length}. ${link(["requests", "deposits"], "All deposits")}</p>` : nothing}`;
}

function vaultTable(info: Info, list: readonly VaultTransaction[]): TemplateResult {
  if (!list.length) return html`<p class="none">None yet.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Vault transactions">
    <table>
      <thead><tr><th scope="col">Number</th><th scope="col">Bitcoin transaction</th><th scope="col">What it does</th><th scope="col">Fee</th><th scope="col">Stands</th></tr></thead>
      <tbody>
        ${list.map(
          (one) => html`<tr>
            <td>${link(["vault", one.number], `Vault transaction ${one.number}`)}</td>
            <td>${bitcoinTransaction(info.bitcoinNetwork, one.txid)}</td>
            <td>${[one.content.deposits.length ? `sweeps ${counted(one.content.deposits.length, "deposit")}` : "", one.content.withdrawals.length ? `pays ${counted(one.content.withdrawals.length, "withdrawal")}` : ""].filter(Boolean).join(", ") || "moves vault outputs"}</td>
            <td class="number">${amount(sats(one.feeSat))}</td>
            <td>${vaultChip(one.status)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function older(kind: Kind, next: string | number | null): TemplateResult | typeof nothing {
  return next === null ? nothing : html`<p>${link(["requests", kind, next], "Older")}</p>`;
}

function missing(sinceBlock: number): TemplateResult | typeof nothing {
  return sinceBlock ? html`<p class="none">This node copied the state of block ${sinceBlock}: what was before it is missing in this list.</p>` : nothing;
}

function numberOrNull(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** `block.logIndex`, as links have it. */
export function placeIn(text: string): DepositPlace | null {
  const [, block, logIndex] = /^(\d{1,15})\.(\d{1,9})$/.exec(text) ?? [];
  return block === undefined || logIndex === undefined ? null : { block: Number(block), logIndex: Number(logIndex) };
}
