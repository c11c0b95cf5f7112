// What the owner of a request can do: a button that the wallet signs where it is the owner's, and the command that does the same without this page.
import { html, nothing, type TemplateResult } from "lit-html";
import { type Hex, encodeFunctionData, parseAbi } from "viem";
import type { Context } from "../app/view.ts";
import { parseAmount } from "../amount.ts";
import { amount } from "../draw/amount.ts";
import { commandLine } from "../draw/command.ts";
import { faultLink } from "../draw/fault.ts";
import { link } from "../draw/links.ts";
import { duration, moment } from "../draw/time.ts";
import { type Done, proveDone } from "../evidence/done.ts";
import { BRIDGE } from "../evidence/entries.ts";
import { codeOf, sentenceOf } from "../faults.ts";
import { type Deposit, type Withdrawal, sats } from "../peg/answers.ts";
import { reclaimableFrom, refundableAt } from "../peg/waits.ts";
import { chainOf, connection, walletWords } from "../wallet/connect.ts";
import { Reverts, included, tried } from "../wallet/send.ts";

/** What can be acted on. */
export type Request =
  | { is: "deposit"; deposit: Deposit; address: string | undefined }
  /** `chargeSat`: what it costs at the present rate. */
  | { is: "withdrawal"; withdrawal: Withdrawal; chargeSat: bigint }
  /** Coins that wait in the bridge for an account. */
  | { is: "claimable"; account: string; amountSat: bigint; isContract?: boolean }
  /** An address that nobody paid, as far as the ledger knows. */
  | { is: "address"; address: string };

/** Functions of `Bridge` that owners call (contracts/src/interfaces/IBridge.sol). */
const ABI = parseAbi(["function cancel(uint256 id)", "function raise(uint256 id, uint64 maxFeeSat)", "function refund(uint256 id)", "function claim(address to)"]);

type Call = { does: "cancel" | "refund"; id: number } | { does: "raise"; id: number; leastSat: bigint } | { does: "claim" };

/** One thing to do; `urgent`: money waits for it. */
interface Act {
  urgent: boolean;
  what: unknown;
  /** That does the same; none where no account of a person can. */
  command?: string;
  /** What the wallet would sign; `by`: the one account that can, none: anybody. */
  call?: { button: string; of: Call; by?: string };
}

export function actions(context: Context, request: Request): TemplateResult | typeof nothing {
  const acts = actsOf(context, request);
  // What was done stays told, also when there is nothing more to do.
  if (!acts.length) return isTold(request) ? told(request) : nothing;
  const key = keyOf(request);
  const isUrgent = acts.some(({ urgent }) => urgent);
  const hasButtons = acts.some(({ call }) => call);
  return html`<section class="acts ${isUrgent ? "notice warn" : ""}">
    <p><strong>What its owner can do</strong></p>
    <ul>
      ${acts.map((act) => html`<li>${act.what} ${act.call ? button(context, key, act.call) : nothing}${act.command === undefined ? nothing : html`<br />${commandLine(act.command)}`}</li>`)}
    </ul>
    ${hasButtons && !context.wallet.account ? connection(context, (words, code) => tell(context, key, words, "bad", code)) : nothing}
    ${told(request)}
  </section>`;
}

/** What was just done with it, or why it was not. */
export function told(request: Request): TemplateResult {
  return html`<div role="status">${isTold(request) ? html`<p class="notice ${said.tone ?? ""}">${said.words}${faultLink(said.code)}</p>` : nothing}</div>`;
}

function keyOf(request: Request): string {
  switch (request.is) {
    case "deposit":
      return `${request.deposit.txid}:${request.deposit.vout}`;
    case "address":
      return request.address;
    case "withdrawal":
      return `withdrawal ${request.withdrawal.id}`;
    case "claimable":
      return request.account;
  }
}

/** Whether something was just done with it, which is told where it is drawn. */
export function isTold(request: Request): boolean {
  return said.words !== undefined && said.of === keyOf(request);
}

/** Whether money waits for its owner to act. */
export function isUrgent(context: Context, request: Request): boolean {
  return actsOf(context, request).some(({ urgent }) => urgent);
}

function button(context: Context, key: string, { button, of, by }: NonNullable<Act["call"]>): TemplateResult {
  const { account } = context.wallet;
  const isOwner = !by || account === by.toLowerCase();
  const why = !account ? "connect a wallet first" : isOwner ? undefined : `only ${by.slice(0, 10)}… can: connect that account`;
  const input = of.does === "raise" ? html`<label class="only-read" for="raise-${of.id}">New maximum, in sat</label><input id="raise-${of.id}" class="raise" .value=${of.leastSat.toString()} inputmode="numeric" maxlength="20" />` : nothing;
  const press = (event: Event) => {
    const typed = (event.currentTarget as HTMLElement).parentElement?.querySelector<HTMLInputElement>("input.raise")?.value;
    void perform(context, key, of, typed);
  };
  return html`<span class="row">${input}<button type="button" ?disabled=${why !== undefined || isAtWork} @click=${press}>${button}</button>${why ? html`<small>${why}</small>` : nothing}</span>`;
}

/** One at a time: a second press waits for the first. */
let isAtWork = false;
/** `of`: the request that it is about, of several on a page. */
let said: { of?: string; words?: unknown; tone?: Tone | undefined; code?: string } = {};

/** Of what goes on there is none yet. */
type Tone = "good" | "bad";

function tell(context: Context, of: string, words: unknown, tone?: Tone, code?: string): void {
  said = words === undefined ? {} : { of, words, tone, ...(code ? { code } : {}) };
  context.redraw();
}

/** Tells nothing of what was done on another page. */
export function forgetSaid(): void {
  said = {};
}

async function perform(context: Context, key: string, call: Call, typed: string | undefined): Promise<void> {
  if (isAtWork) return;
  isAtWork = true;
  tell(context, key, undefined);
  try {
    const { wallet } = context;
    const from = wallet.account as Hex;
    const data = encoded(call, from, typed);
    if (!data) return tell(context, key, "This is no amount: write satoshis as digits alone.", "bad");
    await wallet.enter(chainOf(context));
    const asked = { from, chainId: context.info().chainId, to: BRIDGE, data, value: 0n };
    const gas = await tried(context, asked);
    tell(context, key, "Look at your wallet: it asks whether to sign.");
    const hash = await wallet.send({ ...asked, gas });
    tell(context, key, "Sent. Waiting for a block with it…");
    await settle(context, key, doneBy(call, from, typed), hash);
  } catch (error) {
    const words = error instanceof Reverts ? `The ledger would refuse it (${error.error}). Nothing was sent.` : (walletWords(error) ?? `${sentenceOf(error)} Nothing was sent.`);
    tell(context, key, words, "bad", codeOf(error));
  } finally {
    isAtWork = false;
    context.redraw();
  }
}

/** Follows what was sent to its end: a receipt is the node's word, and what it did is proven by the ledger. */
async function settle(context: Context, key: string, done: Done, hash: Hex): Promise<void> {
  const { node, genesis } = context;
  const transaction = link(["tx", hash], "The transaction");
  const receipt = await included(context, hash, () => false);
  if (receipt?.status !== "0x1") {
    context.refresh();
    return tell(context, key, html`${transaction} failed, says this node: it was carried out, and only its gas was paid. ${LOOK_ELSEWHERE}`, "bad", "failed");
  }
  tell(context, key, html`${transaction} is in a block, says this node. What it did is being proven…`);
  try {
    await proveDone(node, genesis, done, Number(receipt.blockNumber), context.now);
    tell(context, key, DONE[done.does], "good");
  } catch (error) {
    tell(context, key, html`<strong>Not proven:</strong> ${transaction} is in a block, says this node, but it cannot show that it did what it was sent for. ${sentenceOf(error)} ${LOOK_ELSEWHERE}`, "bad", codeOf(error));
  }
  // What waited for this does not wait any more.
  context.refresh();
}

/** What the ledger is to show when it was carried out. */
function doneBy(call: Call, by: Hex, typed: string | undefined): Done {
  switch (call.does) {
    case "claim":
      return { does: "claim", by };
    case "cancel":
      return { does: "cancel", id: call.id, by };
    case "refund":
      return { does: "refund", id: call.id };
    case "raise":
      return { does: "raise", id: call.id, maxFeeSat: parseAmount(typed ?? "", "sat") ?? call.leastSat };
  }
}

/** A node that lies of a failure would have somebody do the same twice. */
export const LOOK_ELSEWHERE = "That is its word alone: look with another node, or in your wallet, before you do it again.";

const DONE = { cancel: "Done: the coins are back in your account.", raise: "Done: it may cost more now.", refund: "Done: its owner has the coins again.", claim: "Done: the coins are in your account." };

function encoded(call: Call, account: Hex, typed: string | undefined): Hex | undefined {
  if (call.does === "claim") return encodeFunctionData({ abi: ABI, functionName: "claim", args: [account] });
  if (call.does !== "raise") return encodeFunctionData({ abi: ABI, functionName: call.does, args: [BigInt(call.id)] });
  const maximum = parseAmount(typed ?? "", "sat");
  if (maximum === undefined || maximum >= 2n ** 64n) return undefined;
  return encodeFunctionData({ abi: ABI, functionName: "raise", args: [BigInt(call.id), maximum] });
}

function actsOf(context: Context, request: Request): Act[] {
  const { parameters, bitcoinTip } = context.info();
  switch (request.is) {
    case "deposit": {
      const { deposit, address = "ADDRESS" } = request;
      if (deposit.status !== "proven") return [];
      const from = reclaimableFrom(deposit.height, parameters);
      const isOpen = bitcoinTip.height >= from;
      const what = isOpen
        ? html`${amount(sats(deposit.amountSat))} can be taken back on Bitcoin since block ${from}, unless a sweep is first. ${withRecord(address)}`
        : html`If nobody sweeps it, it can be taken back on Bitcoin from block ${from} on (now ${bitcoinTip.height}). ${withRecord(address)}`;
      return [{ urgent: isOpen, what, command: reclaimCommand(address) }];
    }
    case "address":
      return [
        {
          urgent: false,
          what: html`What was paid to it and is not swept, also what is too small, can be taken back ${parameters.reclaimDelay} Bitcoin blocks after its payment. ${withRecord(request.address)}`,
          command: reclaimCommand(request.address),
        },
      ];
    case "withdrawal":
      return ofWithdrawal(context, request.withdrawal, request.chargeSat);
    case "claimable":
      if (request.amountSat <= 0n) return [];
      if (request.isContract) {
        return [
          {
            urgent: true,
            what: html`${amount(request.amountSat)} wait for this contract: coins that it refused, or that came back. Only its own code can fetch them, by a call of the Bridge's function <code>claim(address to)</code>, to wherever it says. If it has no way to make that call, nobody can; ask who wrote it.`,
          },
        ];
      }
      return [
        {
          urgent: true,
          what: html`${amount(request.amountSat)} wait for this account: their recipient's code refused them, or they came back.`,
          command: "causeway claim",
          call: { button: "Claim them", of: { does: "claim" }, by: request.account },
        },
      ];
  }
}

/** Takes back all at an address that can be. */
export const reclaimCommand = (address: string): string => `causeway reclaim ${address} --to YOUR_BITCOIN_ADDRESS`;

/** Bitcoin's transaction is signed by the key in the file, so a page without a bitcoind cannot make it. */
export function withRecord(address: string): TemplateResult {
  return html`That needs the record of the address, the file <code>${address}.json</code>, its passphrase, and a bitcoind: so it is done by a command on a machine that has them. <code>causeway</code> looks for the file in <code>~/.local/share/causeway/deposits/</code>.`;
}

function ofWithdrawal(context: Context, withdrawal: Withdrawal, chargeSat: bigint): Act[] {
  const { id, status, maxFeeSat, owner } = withdrawal;
  if (status !== "queued" && status !== "tied") return [];
  const acts: Act[] = [];
  const at = refundableAt(withdrawal, context.info().parameters);
  const left = at - context.now();
  const isPoor = sats(maxFeeSat) < chargeSat;
  const raise = (leastSat: bigint) => ({ button: "Raise the maximum", of: { does: "raise" as const, id, leastSat }, by: owner });
  if (isPoor) acts.push({ urgent: true, what: html`Its maximum is less than what it costs now.`, command: `causeway raise ${id} --max-fee '${chargeSat} sat'`, call: raise(chargeSat) });
  if (status === "queued") {
    if (left <= 0) acts.push({ urgent: true, what: html`It has waited too long: anybody can give it back to its owner.`, command: `causeway refund ${id}`, call: { button: "Give it back", of: { does: "refund", id } } });
    acts.push({ urgent: false, what: html`Take it back: the coins are at once where they came from. Possible while it is queued.`, command: `causeway cancel ${id}`, call: { button: "Cancel it", of: { does: "cancel", id }, by: owner } });
  }
  if (!isPoor) acts.push({ urgent: false, what: html`Raise the most that it pays, should Bitcoin become dearer.`, command: `causeway raise ${id} --max-fee AMOUNT`, call: raise(sats(maxFeeSat) * 2n) });
  if (status === "queued" && left > 0) acts.push({ urgent: false, what: html`If it is still queued in ${duration(left)} (${moment(at)}), anybody can give it back.`, command: `causeway refund ${id}` });
  return acts;
}
