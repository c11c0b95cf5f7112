// An account: its coins, its requests, money that waits for it, and transactions that logs show.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Hex } from "viem";
import { topicOf } from "../abi/decode.ts";
import type { Context, View } from "../app/view.ts";
import { addressWord, type Log } from "../chain/answers.ts";
import { wrapped } from "../chain/ledger.ts";
import { type LogPage, newestLogs } from "../chain/logs.ts";
import { amount } from "../draw/amount.ts";
import { link } from "../draw/links.ts";
import { account as accountName, happened } from "../draw/readings.ts";
import { accountWords, provenOr } from "../draw/proven.ts";
import { deposits as depositTable, withdrawals as withdrawalTable } from "../draw/requests.ts";
import { share } from "../draw/share.ts";
import { coins } from "../draw/wei.ts";
import { type ProvenAccount, proveAccount } from "../evidence/live.ts";
import { type DepositList, type WithdrawalList } from "../peg/answers.ts";
import { actions } from "./actions.ts";

const ON_PAGE = 10;
const MOST_LOGS = 25;

interface Facts {
  /** What it has and can claim: as it is proven, or why it is not. */
  proven: ProvenAccount | { failed: string };
  tokens: bigint;
  code: string;
  to: DepositList;
  claimed: DepositList;
  by: WithdrawalList;
  logs: LogPage;
}

export function account(context: Context, text = ""): View {
  const { node } = context;
  const address = /^0x[0-9a-f]{40}$/i.test(text) ? text.toLowerCase() : undefined;
  let facts: Facts | undefined;
  return {
    title: "Account",
    every: 5_000,
    async refresh() {
      if (!address) return;
      const info = context.info();
      const [proven, code, tokens, to, claimed, by, logs] = await Promise.all([
        provenOr(proveAccount(node, context.genesis, address as Hex)),
        node.ask<string>("eth_getCode", address, "latest"),
        wrapped(node, info, address),
        node.ask<DepositList>("peg_getDeposits", { recipient: address }, null, ON_PAGE),
        node.ask<DepositList>("peg_getDeposits", { claimant: address }, null, ON_PAGE),
        node.ask<WithdrawalList>("peg_getWithdrawals", { owner: address }, null, ON_PAGE),
        logsOf(context, address),
      ]);
      facts = { proven, code, tokens, to, claimed, by, logs };
    },
    draw() {
      if (!address) return html`<h1>This is no account</h1><p>An account has 0x and 40 digits behind it. The link may have been cut off when it was copied.</p>`;
      const info = context.info();
      if (!facts) return html`<h1>Account</h1><p class="waiting">Asking the node…</p>`;
      const { to, claimed, by, logs } = facts;
      const others = claimed.deposits.filter(({ recipient }) => recipient.toLowerCase() !== address);
      return html`<h1>${facts.code === "0x" ? "Account" : "Contract"}</h1>
        <p><code>${address}</code> ${named(context, address)}</p>
        ${claim(context, address, facts)}
        <dl class="facts">
          ${"failed" in facts.proven ? nothing : html`<dt>Coins</dt><dd>${coins(facts.proven.balance)}</dd>`}
          <dt>Wrapped coins</dt><dd>${coins(facts.tokens)}</dd>
          ${"failed" in facts.proven ? nothing : html`<dt>Transactions sent</dt><dd>${facts.proven.nonce.toString()}</dd>`}
          ${facts.code === "0x" ? nothing : html`<dt>Code</dt><dd>${(facts.code.length - 2) / 2} bytes</dd>`}
        </dl>
        ${accountWords(facts.proven, context.now())}
        <h2>Deposits to it</h2>
        ${depositTable(to.deposits)} ${more(to.next, "deposits")}
        ${others.length ? html`<h2>Deposits that it may claim</h2>${depositTable(others, "Deposits that it may claim")}` : nothing}
        <h2>Withdrawals by it</h2>
        ${withdrawalTable(by.withdrawals)} ${more(by.next, "withdrawals")}
        <h2>What logs show of it</h2>
        ${happened(info, logs.logs)}
        <p>
          What left no log, as a payment of plain coins, is not here: no node keeps a list of that.
          ${link(["logs", address], "Logs that it made itself")}
        </p>
        ${share("account", address)}`;
    },
  };
}

function claim(context: Context, address: string, { proven, code }: Facts): TemplateResult | typeof nothing {
  if ("failed" in proven) return nothing;
  const { claimableSat } = proven;
  return html`${claimableSat ? html`<p class="big">${amount(claimableSat)} can be claimed</p>` : nothing} ${actions(context, { is: "claimable", account: address, amountSat: claimableSat, isContract: code !== "0x" })}`;
}

function named(context: Context, address: string): TemplateResult | typeof nothing {
  const { contracts, members } = context.info();
  const isKnown = Object.values(contracts).some((one) => one.toLowerCase() === address) || members.some((one) => one.account.toLowerCase() === address);
  return isKnown ? html`· ${accountName(context.info(), address)}` : nothing;
}

function more(next: unknown, what: string): TemplateResult | typeof nothing {
  return next === null || next === undefined ? nothing : html`<p class="none">There are older ${what}; <code>causeway status</code> of the account lists them.</p>`;
}

/** Logs of the ledger's contracts and wrapped coins that name it in a topic: the newest of each place, together. */
async function logsOf(context: Context, address: string): Promise<LogPage> {
  const { contracts, head } = context.info();
  const own = addressWord(address);
  const all = Object.values(contracts);
  const pages = await Promise.all(
    [[null, own], [null, null, own], [null, null, null, own]].map((topics) => newestLogs(context.node, { address: all, topics }, head.number, MOST_LOGS)),
  );
  const found = new Map<string, Log>(pages.flatMap(({ logs }) => logs).map((log) => [`${log.blockNumber}.${log.logIndex}`, log]));
  const order = (log: Log) => Number.parseInt(log.blockNumber, 16) * 1e6 + Number.parseInt(log.logIndex, 16);
  const isPosted = topicOf("signingBoard", "Posted");
  const logs = [...found.values()].filter(({ topics }) => topics[0] !== isPosted).sort((a, b) => order(b) - order(a));
  return { logs: logs.slice(0, MOST_LOGS), below: undefined, cut: 0 };
}
