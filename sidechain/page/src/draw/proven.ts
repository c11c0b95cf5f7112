// Whether what is shown of a request is proven: a line under it that says by which block, or that the node says something else than it can prove.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context } from "../app/view.ts";
import type { FinalHeader } from "../evidence/certificate.ts";
import { NotProven } from "../evidence/failure.ts";
import type { Genesis } from "../evidence/genesis.ts";
import { proveDeposit, proveWithdrawal } from "../evidence/live.ts";
import { type Deposit, type Withdrawal, sats } from "../peg/answers.ts";
import { link, route } from "./links.ts";

/** A block may lie between what the node told and what it proved: only what differs so often in a row is another. */
const TIMES = 3;

type Verdict = { header: FinalHeader } | { failed: string };

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

  async ofWithdrawal(told: Withdrawal): Promise<void> {
    await this.#check(told, async (genesis) => {
      const { header, withdrawal } = await proveWithdrawal(this.#context.node, genesis, told.id);
      const isSame =
        withdrawal !== undefined &&
        withdrawal.owner === told.owner.toLowerCase() &&
        withdrawal.amountSat === sats(told.amountSat) &&
        withdrawal.maxFeeSat === sats(told.maxFeeSat) &&
        withdrawal.askedAt === told.askedAt &&
        withdrawal.script === told.script.toLowerCase() &&
        (withdrawal.paidBy ?? null) === told.paidBy &&
        (withdrawal.givenBack ?? null) === (told.status === "cancelled" || told.status === "refunded" ? told.status : null);
      return { header, isSame };
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
      return { header, isSame };
    });
  }

  /** What does not answer proves nothing, and disproves nothing: such errors are the view's. While neither the head nor what is told is new, what was proven stays. */
  async #check(told: object, prove: (genesis: Genesis) => Promise<{ header: FinalHeader; isSame: boolean }>): Promise<void> {
    const words = JSON.stringify(told);
    const last = this.#verdict && "header" in this.#verdict ? this.#verdict.header : undefined;
    if (last && words === this.#proven && last.hash === this.#context.info().head.hash) return;
    this.#proven = undefined;
    try {
      const { header, isSame } = await prove(this.#context.genesis);
      this.#differed = isSame ? 0 : this.#differed + 1;
      if (isSame) [this.#verdict, this.#proven] = [{ header }, words];
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
    const { number, signers, validators } = verdict.header;
    return html`<p class="none"><span aria-hidden="true">✓</span> Proven in this browser, by block ${link(["block", number], number)}, which ${signers} of ${validators} validators signed (<a href=${route("evidence")}>how</a>).</p>`;
  }
}
