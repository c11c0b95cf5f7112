// A transaction of the sidechain: whether it succeeded, what it called, what came of it.
import { html, nothing, type TemplateResult } from "lit-html";
import { readCall, readError } from "../abi/decode.ts";
import { NAMES } from "../abi/signatures.ts";
import { callWords } from "../abi/words.ts";
import type { Context, View } from "../app/view.ts";
import { type Receipt, type Transaction, numberOf, wei } from "../chain/answers.ts";
import { link } from "../draw/links.ts";
import { account, argumentList, logReading, raw } from "../draw/readings.ts";
import { share } from "../draw/share.ts";
import { chip } from "../draw/requests.ts";
import { counted } from "../draw/time.ts";
import { coins } from "../draw/wei.ts";

const MOST_LOGS = 100;

export function transaction(context: Context, hash = ""): View {
  const { node } = context;
  const isHash = /^0x[0-9a-f]{64}$/i.test(hash);
  let found: { transaction: Transaction | null; receipt: Receipt | null } | undefined;
  let refusal: string | undefined;
  return {
    title: "Transaction",
    every: 4_000,
    async refresh() {
      // What is in a block does not change.
      if (!isHash || found?.receipt) return;
      const [one, receipt] = await Promise.all([node.ask<Transaction | null>("eth_getTransactionByHash", hash), node.ask<Receipt | null>("eth_getTransactionReceipt", hash)]);
      if (receipt && receipt.status === "0x0") refusal = await node.ask<string>("ots_getTransactionError", hash).catch(() => undefined);
      found = { transaction: one, receipt };
    },
    draw() {
      if (!isHash) return html`<h1>This is no transaction</h1><p>A transaction here has 0x and 64 digits behind it. One of Bitcoin is found by the search field.</p>`;
      if (!found) return html`<h1>Transaction</h1><p class="waiting">Asking the node…</p>`;
      if (!found.transaction) {
        return html`<h1>There is no such transaction</h1>
          <p>By the word of this node it is in no block that it has, and does not wait there. If you just sent it, it may wait at another node; if you sent it long ago, it was replaced, or dropped after it waited for three hours. No coins moved by it.</p>
          <p>If it is a transaction of Bitcoin: ${link(["search", hash.slice(2)], "look for it as one")}.</p>`;
      }
      return whole(context, hash, found.transaction, found.receipt, refusal);
    },
  };
}

function whole(context: Context, asked: string, one: Transaction, receipt: Receipt | null, refusal: string | undefined): TemplateResult {
  const info = context.info();
  const read = readCall(info.contracts, one.to, one.input);
  const hasFailed = receipt?.status === "0x0";
  const state = !receipt ? { word: "waits for a block", tone: "going" } : hasFailed ? { word: "failed", tone: "bad" } : { word: "succeeded", tone: "good" };
  return html`<h1>Transaction</h1>
    <p class="big">${read ? callWords(read.contract, read.name) : one.to ? (one.input === "0x" ? "Payment" : "Call of a contract") : "A new contract"} ${chip(state)}</p>
    <p class="none">By the node's word: what is in a block is not proven here. What it did to a deposit or a withdrawal is proven on the page of that.</p>
    ${one.hash.toLowerCase() === asked.toLowerCase() ? nothing : html`<p class="notice bad"><strong>Not what was asked for:</strong> the node answers another transaction, ${one.hash}. Believe nothing on this page of it.</p>`}
    ${hasFailed ? html`<div class="notice bad"><p>Nothing came of it but its fee: what it would have moved is where it was.</p>${reason(context, refusal)}</div>` : nothing}
    <dl class="facts">
      <dt>From</dt><dd>${account(info, one.from)}</dd>
      <dt>To</dt><dd>${one.to ? account(info, one.to) : receipt?.contractAddress ? account(info, receipt.contractAddress) : "a new contract"}</dd>
      <dt>Coins</dt><dd>${coins(wei(one.value))}</dd>
      ${receipt ? html`<dt>Fee</dt><dd>${coins(wei(receipt.gasUsed) * wei(receipt.effectiveGasPrice))} (${numberOf(receipt.gasUsed).toLocaleString()} gas)</dd>` : nothing}
      <dt>Block</dt><dd>${receipt ? link(["block", numberOf(receipt.blockNumber)], numberOf(receipt.blockNumber)) : "none yet"}</dd>
      <dt>Nonce</dt><dd>${numberOf(one.nonce)}</dd>
      <dt>Hash</dt><dd><code>${one.hash}</code></dd>
    </dl>
    ${read ? html`<h2>What it calls <small class="quiet">${NAMES[read.contract]}.${read.name}</small></h2>${argumentList(info, read.contract, read.args)}` : one.input !== "0x" ? html`<h2>Its data</h2><p>${raw(one.input)}</p>` : nothing}
    ${receipt ? logs(context, receipt) : nothing} ${share("tx", one.hash)}`;
}

function logs(context: Context, receipt: Receipt): TemplateResult {
  const some = receipt.logs.slice(0, MOST_LOGS);
  return html`<h2>What came of it</h2>
    ${some.length ? html`<ol class="logs">${some.map((log) => html`<li>${logReading(context.info(), log)}</li>`)}</ol>` : html`<p class="none">No log.</p>`}
    ${receipt.logs.length > some.length ? html`<p>${counted(receipt.logs.length - some.length, "more log")}: ${link(["logs", "-", "-", numberOf(receipt.blockNumber), numberOf(receipt.blockNumber)], "all logs of the block")}</p>` : nothing}`;
}

function reason(context: Context, refusal: string | undefined): TemplateResult {
  const read = readError(refusal);
  if (read) {
    return html`<p>It was refused: ${read.contract ? html`<a href="#/error/${read.name}"><code>${read.name}</code></a> of ${NAMES[read.contract]}` : html`<q>${String(read.args[0]?.value ?? read.name).slice(0, 400)}</q>`}</p>
      ${read.contract ? argumentList(context.info(), read.contract, read.args) : nothing}`;
  }
  return refusal && refusal !== "0x" ? html`<p>What it was refused with is of no contract of the ledger: ${raw(refusal)}</p>` : html`<p>It said nothing of why; often its gas was used up.</p>`;
}
