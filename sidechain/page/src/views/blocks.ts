// Blocks of the sidechain, the newest first, and one of them.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context, View } from "../app/view.ts";
import { callWords } from "../abi/words.ts";
import { readCall } from "../abi/decode.ts";
import { type Block, type Transaction, hexOf, numberOf, wei } from "../chain/answers.ts";
import { link, shortened } from "../draw/links.ts";
import { account } from "../draw/readings.ts";
import { ago, counted, moment } from "../draw/time.ts";
import { coins } from "../draw/wei.ts";
import type { FinalHeader } from "../evidence/certificate.ts";
import { NotProven, require } from "../evidence/failure.ts";
import { proveHead } from "../evidence/live.ts";
import { NodeError } from "../node.ts";
import type { Info } from "../peg/answers.ts";
import { numberIn } from "./withdrawal.ts";

const ON_PAGE = 20;
/** Transactions of a block on a page. */
const MOST_TRANSACTIONS = 50;

export function blocks(context: Context, from = ""): View {
  const { node } = context;
  const top = numberIn(from);
  let list: Block[] | undefined;
  return {
    title: "Blocks",
    async refresh() {
      const head = context.info().head.number;
      const first = Math.min(top ?? head, head);
      const numbers = Array.from({ length: Math.min(ON_PAGE, first + 1) }, (_, nth) => first - nth);
      const got = await Promise.all(numbers.map((number) => node.ask<Block | null>("eth_getBlockByNumber", hexOf(number), false)));
      list = got.filter((block) => block !== null);
    },
    draw() {
      if (!list) return html`<h1>Blocks</h1><p class="waiting">Asking the node…</p>`;
      const last = list.at(-1);
      const below = last ? numberOf(last.number) - 1 : -1;
      return html`<h1>Blocks</h1>
        <p>A list is the node's word; the page of each block proves it. Each is final when it appears. Those without a transaction come as a sign of life.</p>
        <div class="scroll" tabindex="0" role="region" aria-label="Blocks">
          <table>
            <thead><tr><th scope="col">Number</th><th scope="col">Made</th><th scope="col" class="number">Transactions</th><th scope="col" class="number">Gas</th><th scope="col">By</th></tr></thead>
            <tbody>
              ${list.map(
                (block) => html`<tr>
                  <td>${link(["block", numberOf(block.number)], numberOf(block.number))}</td>
                  <td title=${moment(numberOf(block.timestamp))}>${ago(numberOf(block.timestamp), context.now())}</td>
                  <td class="number">${block.transactions.length}</td>
                  <td class="number">${numberOf(block.gasUsed).toLocaleString()}</td>
                  <td>${account(context.info(), block.miner)}</td>
                </tr>`,
              )}
            </tbody>
          </table>
        </div>
        <p>${top === undefined ? nothing : html`${link(["blocks"], "The newest")} · `}${below >= 0 ? link(["blocks", below], "Older") : nothing} · ${link(["logs"], "Logs")}</p>`;
    },
  };
}

export function block(context: Context, what = "", page = "0"): View {
  const { node } = context;
  const number = numberIn(what);
  const isHash = /^0x[0-9a-f]{64}$/i.test(what);
  const first = numberIn(page) ?? 0;
  let found: Block | null | undefined;
  let proof: { header: FinalHeader } | { failed: string } | undefined;
  return {
    title: `Block ${number ?? ""}`,
    every: 60_000,
    async refresh() {
      if (number === undefined && !isHash) return;
      const asked = number === undefined ? node.ask<Block | null>("eth_getBlockByHash", what, true) : node.ask<Block | null>("eth_getBlockByNumber", hexOf(number), true);
      const one = await asked;
      if (one) proof = await proofOf(context, one, number ?? what.toLowerCase());
      found = one;
    },
    draw() {
      if (number === undefined && !isHash) return html`<h1>This is no block</h1><p>A block is named by its number or its hash. ${link(["blocks"], "The newest blocks")}</p>`;
      if (found === undefined) return html`<h1>Block</h1><p class="waiting">Asking the node…</p>`;
      if (!found) return html`<h1>There is no such block</h1><p>This node does not have it: it is yet to come, or the node is behind, or keeps no blocks so old. ${link(["blocks"], "The newest blocks")}</p>`;
      const at = numberOf(found.number);
      const some = found.transactions.slice(first, first + MOST_TRANSACTIONS).filter((one): one is Transaction => typeof one === "object");
      return html`<h1>Block ${at}</h1>
        <dl class="facts">
          <dt>Made</dt><dd>${moment(numberOf(found.timestamp))}, by ${account(context.info(), found.miner)}</dd>
          <dt>Final</dt><dd>${finalWords(proof)}</dd>
          <dt>Hash</dt><dd><code>${found.hash}</code></dd>
          <dt>Before it</dt><dd>${at ? link(["block", at - 1], shortened(found.parentHash)) : "nothing: it is the first"}</dd>
          <dt>State</dt><dd><code>${found.stateRoot}</code></dd>
          <dt>Gas</dt><dd>${numberOf(found.gasUsed).toLocaleString()} of ${numberOf(found.gasLimit).toLocaleString()}</dd>
          ${found.baseFeePerGas ? html`<dt>Base fee</dt><dd>${wei(found.baseFeePerGas).toLocaleString()} wei a gas</dd>` : nothing}
        </dl>
        <p>${at ? link(["block", at - 1], "The one before") : nothing} · ${link(["block", at + 1], "The next one")} · ${link(["logs", "-", "-", at, at], "Its logs")}</p>
        <p class="none">${proof && "header" in proof ? "Its number, hash, time, state and the block before it are proven. " : nothing}What is in it, who made it and its gas are the node's word.</p>
        <h2>${counted(found.transactions.length, "transaction")}</h2>
        ${transactions(context.info(), some)}
        <p>
          ${first > 0 ? link(["block", what, Math.max(0, first - MOST_TRANSACTIONS)], "Earlier ones") : nothing}
          ${first + MOST_TRANSACTIONS < found.transactions.length ? link(["block", what, first + MOST_TRANSACTIONS], "Later ones") : nothing}
        </p>`;
    },
  };
}

/** Whether the validators signed what the node says of a block. */
async function proofOf({ node, genesis }: Context, told: Block, asked: number | string): Promise<{ header: FinalHeader } | { failed: string }> {
  try {
    const at = numberOf(told.number);
    const isAsked = typeof asked === "number" ? asked === at : asked === told.hash;
    require(isAsked, `block ${asked} was asked for, and the node answers block ${at}, ${told.hash}`);
    const header = await proveHead(node, genesis, at);
    const isSame = header.hash === told.hash && header.parentHash === told.parentHash && header.stateRoot === told.stateRoot && header.timestamp === numberOf(told.timestamp);
    require(isSame, `the validators signed another block ${at}, ${header.hash}`);
    return { header };
  } catch (error) {
    if (error instanceof NotProven || error instanceof NodeError) return { failed: error.message };
    throw error;
  }
}

function finalWords(proof: { header: FinalHeader } | { failed: string } | undefined): TemplateResult {
  if (!proof) return html`checking…`;
  if ("failed" in proof) return html`<strong>not proven</strong>: ${proof.failed}`;
  return html`<span aria-hidden="true">✓</span> proven in this browser: ${proof.header.signers} of ${proof.header.validators} validators signed it, or a block behind it`;
}

function transactions(info: Info, list: readonly Transaction[]): TemplateResult {
  if (!list.length) return html`<p class="none">None.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Transactions">
    <table>
      <thead><tr><th scope="col">Transaction</th><th scope="col">From</th><th scope="col">To</th><th scope="col">What</th><th scope="col" class="number">Coins</th></tr></thead>
      <tbody>
        ${list.map((one) => {
          const read = readCall(info.contracts, one.to, one.input);
          return html`<tr>
            <td>${link(["tx", one.hash], shortened(one.hash))}</td>
            <td>${account(info, one.from)}</td>
            <td>${one.to ? account(info, one.to) : "a new contract"}</td>
            <td>${read ? callWords(read.contract, read.name) : one.input === "0x" ? "Payment" : "Call"}</td>
            <td class="number">${coins(wei(one.value))}</td>
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}
