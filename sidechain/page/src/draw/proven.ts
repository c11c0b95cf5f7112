// Whether what is shown of a request is proven: a line under it that says by which block, or that the node says something else than it can prove.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context } from "../app/view.ts";
import type { FinalHeader } from "../evidence/certificate.ts";
import { NotProven } from "../evidence/failure.ts";
import type { Genesis } from "../evidence/genesis.ts";
import { type Shown, proveDeposit, proveWithdrawal } from "../evidence/live.ts";
import { type Deposit, type Withdrawal, sats } from "../peg/answers.ts";
import { link, route } from "./links.ts";

/** A block may lie between what the node told and what it proved: only what differs so often in a row is another. */
const TIMES = 3;

/** `what`: of all that is shown, what is proven. */
type Verdict = { header: FinalHeader; what: string } | { failed: string };

/** The check of one view, over all of its refreshes. */
export class Proof {
  readonly #context: Context;
  #verdict: Verdict | undefined;
  #differed = 0;
  /** What was told when it was proven last. */
  #proven: string | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** `paying`: the vault transactions that are shown with it. What arrived by one of them is proven by its bytes. */
  async ofWithdrawal(told: Withdrawal, paying: readonly Shown[] = []): Promise<void> {
    const version = told.versions.find(({ number }) => number === told.paidBy);
    const shown = version && paying.find(({ number }) => number === version.number);
    await this.#check([told, shown], async (genesis) => {
      const { header, withdrawal, paid } = await proveWithdrawal(this.#context.node, genesis, told.id, shown);
      const isPaidSo = !version || !paid || (paid.txid === version.txid && paid.amountsSat.includes(sats(told.amountSat) - sats(version.chargeSat)));
      const isSame =
        withdrawal !== undefined &&
        withdrawal.owner === told.owner.toLowerCase() &&
        withdrawal.amountSat === sats(told.amountSat) &&
        withdrawal.maxFeeSat === sats(told.maxFeeSat) &&
        withdrawal.askedAt === told.askedAt &&
        withdrawal.script === told.script.toLowerCase() &&
        (withdrawal.paidBy ?? null) === told.paidBy &&
        (withdrawal.givenBack ?? null) === (told.status === "cancelled" || told.status === "refunded" ? told.status : null) &&
        isPaidSo;
      return { header, isSame, what: `whose it is, its amounts, whom it pays${paid ? ", what arrived" : ""} and where it stands` };
    });
  }

  async ofDeposit(told: Deposit): Promise<void> {
    await this.#check(told, async (genesis) => {
      const { header, deposit } = await proveDeposit(this.#context.node, genesis, told);
      const isSame =
        deposit !== undefined &&
        deposit.recipient === told.recipient.toLowerCase() &&
        deposit.claimant === told.claimant.toLowerCase() &&
        deposit.amountSat === sats(told.amountSat) &&
        deposit.maxFeeSat === sats(told.maxFeeSat) &&
        deposit.status === told.status &&
        (deposit.mintedSat ?? null) === (told.mintedSat === null ? null : sats(told.mintedSat)) &&
        (deposit.sweptBy ?? null) === told.sweptBy;
      return { header, isSame, what: "whose it is, its amounts and where it stands" };
    });
  }

  /** What does not answer proves nothing, and disproves nothing: such errors are the view's. While neither the head nor what is told is new, what was proven stays. */
  async #check(told: object, prove: (genesis: Genesis) => Promise<{ header: FinalHeader; isSame: boolean; what: string }>): Promise<void> {
    const words = JSON.stringify(told);
    const last = this.#verdict && "header" in this.#verdict ? this.#verdict.header : undefined;
    if (last && words === this.#proven && last.hash === this.#context.info().head.hash) return;
    this.#proven = undefined;
    try {
      const { header, isSame, what } = await prove(this.#context.genesis);
      this.#differed = isSame ? 0 : this.#differed + 1;
      if (isSame) [this.#verdict, this.#proven] = [{ header, what }, words];
      else if (this.#differed >= TIMES) this.#verdict = { failed: "the state says something else than the node" };
    } catch (error) {
      if (!(error instanceof NotProven)) throw error;
      this.#verdict = { failed: error.message };
    }
  }

  draw(): TemplateResult | typeof nothing {
    const verdict = this.#verdict;
    if (!verdict) return html`<p class="none">Checking what the node says of it…</p>`;
    if ("failed" in verdict) {
      return html`<p class="notice bad"><strong>Not proven:</strong> ${verdict.failed}. Believe nothing on this page of it; ask another node, or <code>causeway status</code>.</p>`;
    }
    const { what, header: { number, signers, validators } } = verdict;
    return html`<p class="none"><span aria-hidden="true">✓</span> Proven in this browser, by block ${link(["block", number], number)}, which ${signers} of ${validators} validators signed (<a href=${route("evidence")}>how</a>): ${what}. The rest is the node's word.</p>`;
  }
}
