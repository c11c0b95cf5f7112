// Take bitcoin out: where to, how much, the most that it may cost; what will be signed, in words; then the wallet.
//
//   form -> confirming -> signing -> sent -> (the withdrawal's own page)
//     ^________|_____________|________|
import { html, nothing, type TemplateResult } from "lit-html";
import { type Hex, encodeFunctionData, parseAbi } from "viem";
import type { Context, View } from "../app/view.ts";
import { topicOf } from "../abi/decode.ts";
import { WEI_PER_SAT } from "../amount.ts";
import { digitsOf } from "../bitcoin/bytes.ts";
import { readPayment } from "../bitcoin/link.ts";
import { amount } from "../draw/amount.ts";
import { faultLink } from "../draw/fault.ts";
import { toBeginning } from "../draw/focus.ts";
import { link, shortened } from "../draw/links.ts";
import { ago } from "../draw/time.ts";
import { proveSigned } from "../evidence/done.ts";
import { BRIDGE } from "../evidence/entries.ts";
import { proveHead } from "../evidence/live.ts";
import { require } from "../evidence/failure.ts";
import { codeOf, sentenceOf } from "../faults.ts";
import type { DepositReport, Limits, Quote, VaultTransactionList } from "../peg/answers.ts";
import { askQuote } from "../peg/quote.ts";
import { type Sent, forgetSent, keepSent, sent } from "../peg/sent.ts";
import { type Order, nothingTyped, read } from "../peg/withdrawal_form.ts";
import { chainOf, connection, walletWords } from "../wallet/connect.ts";
import { type Receipt, Reverts, included, tried } from "../wallet/send.ts";
import type { Call } from "../wallet/wallet.ts";
import { LOOK_ELSEWHERE } from "./actions.ts";
import { drawConfirming, drawForm } from "./peg_out_form.ts";

const BRIDGE_ABI = parseAbi(["function withdraw(bytes script, uint64 maxFeeSat) payable returns (uint256 id)"]);
/** Vault transactions whose rates are shown. */
const LAST = 20;
/** Gas of a withdrawal, before it is estimated, and what its price may rise by until it is in a block. */
const USUAL_GAS = 250_000n;
const PRICE_TIMES = 2n;
/** Of a taproot output's script, as deposit addresses have. */
const TAPROOT_BYTES = 34;
/** Typed addresses of which is remembered what the node said. */
const MOST_ADDRESSES = 100;

/** `doubt`: why what the node says became of what was sent is not proven. */
type Stage = { is: "form" } | { is: "confirming"; order: Order; call: Call } | { is: "signing" } | { is: "sent"; sent: Sent; doubt?: { words: string; code: string } };

export function pegOut(context: Context): View {
  const { node, wallet } = context;
  const typed = nothingTyped();
  let stage: Stage = { is: "form" };
  let quote: Quote | undefined;
  let limits: Limits | undefined;
  let had: { account: Hex; wei: bigint } | undefined;
  const ofDeposits = new Map<string, boolean>();
  let gasPrice = 0n;
  let rates: number[] = [];
  let said: { words: unknown; code?: string } | undefined;
  /** The last one that failed, by this node's word: told until the page is left. */
  let refused: Sent | undefined;
  let isComplete = false;
  let isLeft = false;

  const say = (words: unknown, code?: string) => {
    said = words === undefined ? undefined : { words, ...(code ? { code } : {}) };
    context.redraw();
  };
  const set = (next: Stage) => {
    const isAnother = next.is !== stage.is;
    stage = next;
    context.redraw();
    if (isAnother && !isLeft) toBeginning();
  };

  /** Wei of the account that is chosen now; nothing until the node has said. */
  const balance = () => (had && had.account === wallet.account ? had.wei : undefined);
  const form = () => read(typed, { info: context.info(), quote, balance: balance(), gasWei: USUAL_GAS * gasPrice * PRICE_TIMES, isDeposit: (address) => ofDeposits.get(address) ?? false });

  /** Whether a payee is a deposit address: only taproot ones can be. */
  async function askPayee(): Promise<void> {
    const payment = readPayment(typed.address);
    const address = payment?.address ?? typed.address.trim();
    const { payee } = form();
    if (!payee || payee.script.length !== TAPROOT_BYTES || ofDeposits.has(address)) return;
    const { registered, deposits } = await node.ask<DepositReport>("peg_getDeposit", address);
    if (ofDeposits.size >= MOST_ADDRESSES) ofDeposits.clear();
    ofDeposits.set(address, registered === true || deposits.length > 0);
  }

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const fields = event.currentTarget as HTMLFormElement;
    try {
      await askPayee();
    } catch (error) {
      return failed(error);
    }
    const { order } = form();
    if (!order) {
      isComplete = true;
      context.redraw();
      queueMicrotask(() => fields.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    say(undefined);
    try {
      if (!wallet.account) return say("Connect a wallet first.");
      const from = wallet.account;
      await wallet.enter(chainOf(context));
      const data = encodeFunctionData({ abi: BRIDGE_ABI, functionName: "withdraw", args: [`0x${digitsOf(order.payee.script)}`, order.maxFeeSat] });
      const call = { from, chainId: context.info().chainId, to: BRIDGE, data, value: order.amountSat * WEI_PER_SAT };
      set({ is: "confirming", order, call: { ...call, gas: await tried(context, call) } });
    } catch (error) {
      failed(error);
    }
  }

  /** Signed once: a second press finds nothing to sign. */
  async function sign(asked: Order, call: Call): Promise<void> {
    if (stage.is !== "confirming") return;
    set({ is: "signing" });
    let one: Sent;
    try {
      const { timestamp } = await proveHead(node, context.genesis);
      const hash = await wallet.send(call);
      one = { networkId: context.info().networkId, owner: call.from, hash, amountSat: asked.amountSat.toString(), maxFeeSat: asked.maxFeeSat.toString(), script: `0x${digitsOf(asked.payee.script)}`, sinceS: timestamp, at: Math.floor(context.now()) };
      keepSent(one);
    } catch (error) {
      set({ is: "form" });
      return failed(error);
    }
    set({ is: "sent", sent: one });
    await follow(one);
  }

  /** To the page of the withdrawal, once it is proven to be what was signed: until then it stays remembered, whatever the node says of it. */
  async function follow(one: Sent): Promise<void> {
    const receipt = await included(context, one.hash, () => isLeft);
    if (!receipt) return;
    if (receipt.status === "0x1") {
      try {
        const id = await provenId(one, receipt);
        forgetSent();
        if (!isLeft) context.go("withdrawal", id);
      } catch (error) {
        set({ is: "sent", sent: one, doubt: { words: sentenceOf(error), code: codeOf(error) } });
      }
      return;
    }
    forgetSent();
    refused = one;
    // The same is not filled in again: who sends it a second time has looked first.
    Object.assign(typed, nothingTyped());
    isComplete = false;
    set({ is: "form" });
    say(undefined);
  }

  async function provenId(one: Sent, { logs, blockNumber }: Receipt): Promise<number> {
    const queued = logs.find(({ address, topics }) => address.toLowerCase() === BRIDGE && topics[0] === topicOf("bridge", "WithdrawalQueued"));
    require(queued?.topics[1] !== undefined, "its receipt names no withdrawal of the bridge");
    const id = Number(BigInt(queued.topics[1]));
    const { owner, script, sinceS } = one;
    await proveSigned(node, context.genesis, id, { owner, script, sinceS, amountSat: BigInt(one.amountSat), maxFeeSat: BigInt(one.maxFeeSat) }, Number(blockNumber), context.now);
    return id;
  }

  function failed(error: unknown): void {
    const code = codeOf(error);
    if (error instanceof Reverts) return say(`The ledger would refuse it (${error.error}). Nothing was sent.`, code);
    if (code === "insufficient-funds") return say("Your account has not enough for the amount and the gas. Nothing was sent.", code);
    say(walletWords(error) ?? `${sentenceOf(error)} Nothing was sent.`, code);
  }

  function drawStage(): TemplateResult {
    const now = stage;
    switch (now.is) {
      case "form":
        return html`${connection(context, say)} ${drawForm({ info: context.info(), account: wallet.account, balance: balance(), quote, limits, rates, typed, read: form(), isComplete, type, useAll, submit: (event) => void submit(event) })}`;
      case "confirming":
        return drawConfirming(now.order, now.call, now.call.gas * gasPrice * PRICE_TIMES, () => void sign(now.order, now.call), () => set({ is: "form" }));
      case "signing":
        return html`<p role="status" class="waiting">Look at your wallet: it asks whether to sign.</p>`;
      case "sent":
        return drawSent(now.sent, now.doubt, context.now(), () => {
          forgetSent();
          set({ is: "form" });
        });
    }
  }

  const type = (field: "address" | "amount" | "maximum", text: string) => {
    typed[field] = text;
    // The frame says when the node does not answer; it is asked again before anything is signed.
    if (field === "address") void askPayee().then(context.redraw, () => undefined);
    if (field === "amount") typed.isAll = false;
    context.redraw();
  };
  const useAll = () => {
    [typed.isAll, typed.amount] = [true, ""];
    context.redraw();
  };

  return {
    title: "Take bitcoin out",
    async refresh() {
      const [price, now, newest, gas] = await Promise.all([
        askQuote(node, context.info(), form().payee?.script.length),
        node.ask<Limits>("peg_getLimits"),
        node.ask<VaultTransactionList>("peg_getVaultTransactions", null, LAST),
        node.ask<Hex>("eth_gasPrice"),
      ]);
      [quote, limits, gasPrice] = [price, now, BigInt(gas)];
      rates = newest.vaultTransactions.filter(({ content }) => content.withdrawals.length).map(({ content }) => content.rate);
      const { account } = wallet;
      had = account ? { account, wei: BigInt(await node.ask<Hex>("eth_getBalance", account, "latest")) } : undefined;
      const one = stage.is === "form" ? sent(context.info().networkId) : undefined;
      if (one) {
        stage = { is: "sent", sent: one };
        void follow(one);
      }
    },
    leave: () => {
      isLeft = true;
    },
    draw: () => html`<h1>Take bitcoin out</h1>
      <div role="alert">${said ? html`<p class="notice bad">${said.words}${faultLink(said.code)}</p>` : nothing}</div>
      ${refused ? drawRefused(refused) : nothing} ${drawStage()}`,
  };
}

function drawRefused({ hash, amountSat }: Sent): TemplateResult {
  return html`<div role="alert"><p class="notice bad">${link(["tx", hash], "The transaction")} of ${amount(BigInt(amountSat))} failed, says this node: it was carried out, only its gas was paid, and the coins are where they were. ${LOOK_ELSEWHERE}${faultLink("failed")}</p></div>`;
}

function drawSent({ hash, amountSat, at }: Sent, doubt: { words: string; code: string } | undefined, now: number, forget: () => void): TemplateResult {
  if (doubt) {
    return html`<section class="flow">
      <div role="alert"><p class="notice bad"><strong>Not proven:</strong> transaction ${link(["tx", hash], shortened(hash))} of ${amount(BigInt(amountSat))} is in a block, says this node, but it does not show that the withdrawal is the one that you signed. ${doubt.words} ${LOOK_ELSEWHERE}${faultLink(doubt.code)}</p></div>
      <p>It stays remembered here, and is looked for again when this page is opened, until you <button type="button" class="quiet" @click=${forget}>forget it here</button>.</p>
    </section>`;
  }
  return html`<section class="flow">
    <p role="status" class="waiting">Sent ${ago(at, now)}: ${amount(BigInt(amountSat))}, by transaction ${link(["tx", hash], shortened(hash))}. Waiting for a block with it; then its page opens.</p>
    <p>It is not sent again by a reload. If it is still not in a block after some minutes, your wallet may have dropped or replaced it: look there, then <button type="button" class="quiet" @click=${forget}>forget it here</button>.</p>
  </section>`;
}
