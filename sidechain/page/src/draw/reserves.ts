// Whether everything is there, and the books: proven at a block where the node can, and marked as its word where it cannot, or not yet.
import { html, nothing, type TemplateResult } from "lit-html";
import { btc } from "../amount.ts";
import type { Context } from "../app/view.ts";
import { type Difference, type Standing, differences, standingOf } from "../evidence/books.ts";
import { reasonOf } from "../evidence/failure.ts";
import { OLD_AFTER_S, type Reserves, proveTold } from "../evidence/live.ts";
import { NodeDown } from "../node.ts";
import { type Books, type Info, sats } from "../peg/answers.ts";
import { amount, sum } from "./amount.ts";
import { link, route } from "./links.ts";
import { ago, duration } from "./time.ts";

export type Verdict = { reserves: Reserves; differ: readonly Difference[] } | { failed: string };

/** Seconds until what is proven is proven anew; sooner where the books have changed since, or nothing is proven. */
const EVERY_S = 60;
const SOONER_S = 5;
/** An output may be spent between two answers: only what fails so often in a row is not proven. */
const TIMES = 2;

const WORDS: Record<keyof Books, string> = {
  vaultSat: "In the vault, on Bitcoin",
  unsweptSat: "Minted for deposits that are swept again later",
  lostSat: "Lost",
  supplySat: "Coins outside the bridge",
  unclaimedSat: "Coins that somebody can claim",
  owedSat: "Withdrawals under way",
  unmintedSat: "Deposits under way",
  reserveSat: "The bridge's reserve",
  coveredSat: "Losses that somebody covered",
};

/** The proof of the reserves, over all refreshes of a view. */
export class ReservesProof {
  readonly #context: Context;
  #verdict: Verdict | undefined;
  #triedAt = 0;
  #provenAt = 0;
  #isTrying = false;
  #failures = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Seconds by which the block was old when it was proven last. */
  get age(): number | undefined {
    return this.#verdict && "reserves" in this.#verdict ? this.#provenAt - this.#verdict.reserves.header.timestamp : undefined;
  }

  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** Proves them if it is time to. What does not answer proves nothing, and disproves nothing: the frame says so. */
  async refresh(): Promise<void> {
    const { node, genesis, now, info } = this.#context;
    if (this.#isTrying || now() - this.#triedAt < this.#pause()) return;
    [this.#isTrying, this.#triedAt] = [true, now()];
    try {
      this.#verdict = await proveTold(node, genesis, info());
      this.#provenAt = now();
      this.#failures = 0;
    } catch (error) {
      if (error instanceof NodeDown) return;
      this.#failures += 1;
      if (this.#failures >= TIMES) this.#verdict = { failed: reasonOf(error) };
    } finally {
      this.#isTrying = false;
    }
  }

  #pause(): number {
    if (this.#verdict === undefined || (this.#failures > 0 && this.#failures < TIMES)) return 0;
    const isAsTold = !this.#failures && "reserves" in this.#verdict && !this.#verdict.differ.length && !since(this.#verdict.reserves, this.#context.info()).length;
    return isAsTold ? EVERY_S : SOONER_S;
  }
}

/** What the node tells now otherwise than it was proven at a block before. */
function since(reserves: Reserves, { books }: Pick<Info, "books">): Difference[] {
  return differences(books, standingOf(reserves));
}

/** The first of the three questions. */
export function isEverythingThere({ books }: Pick<Info, "books">, verdict: Verdict | undefined, now: number): TemplateResult {
  if (!verdict) return asToldCard(books);
  return "failed" in verdict ? notProvenCard(verdict.failed) : provenCard(verdict, now);
}

const how = () => html`<a href=${route("evidence")}>how</a>`;

function asToldCard(books: Books): TemplateResult {
  const missing = sats(books.lostSat) + sats(books.unsweptSat);
  return html`<section class="card" aria-busy="true">
    <h2>Is everything there?</h2>
    <p class="big">${missing ? html`${amount(missing)} are missing, says the node` : "Yes, says the node"}</p>
    <p>${amount(sats(books.supplySat))} are outside, ${amount(sats(books.vaultSat))} in the vault.</p>
    <p>Being proven in this browser… (${how()})</p>
  </section>`;
}

function notProvenCard(why: string): TemplateResult {
  return html`<section class="card bad">
    <h2>Is everything there?</h2>
    <p class="big">Not proven</p>
    <p>${why} (${how()}).</p>
  </section>`;
}

function provenCard({ reserves, differ }: Extract<Verdict, { reserves: Reserves }>, now: number): TemplateResult {
  const { header, sums, books } = reserves;
  const at = html`by block ${link(["block", header.number], header.number)}, ${ago(header.timestamp, now)} (${how()})`;
  if (differ.length) {
    return html`<section class="card bad">
      <h2>Is everything there?</h2>
      <p class="big">Not as the node says</p>
      <p>Its books are others than it can prove, ${at}. Believe what is proven, and ask another node.</p>
      <ul>${differ.map(({ book, toldSat, provenSat }) => html`<li>${WORDS[book]}: it says ${toldSat === undefined ? "nothing that is an amount" : amount(toldSat)}, and ${amount(provenSat)} are proven.</li>`)}</ul>
    </section>`;
  }
  const isOld = now - header.timestamp > OLD_AFTER_S;
  return html`<section class="card ${sums.isCovered ? (isOld ? "doubtful" : "good") : "bad"}">
    <h2>Is everything there?</h2>
    <p class="big">${sums.isCovered ? "Yes, every satoshi" : sums.missingSat ? html`${amount(sums.missingSat)} are missing` : "No"}</p>
    <p>${amount(standingOf(reserves).supplySat)} are outside, ${amount(books.vaultSat)} in the vault.${sums.isBalanced ? nothing : " The books do not account for all that is outside or owed."}</p>
    <p>Proven in this browser, ${at}.</p>
    ${isOld ? html`<p>That block is ${duration(now - header.timestamp)} old: what was so then may not be so now.</p>` : nothing}
  </section>`;
}

/** Both sides of the books: what is proven; else what the node says, and that it is no more than that. */
export function books(info: Pick<Info, "books">, verdict: Verdict | undefined, now: number): TemplateResult {
  const proven = verdict && "reserves" in verdict ? verdict : undefined;
  const standing = proven ? standingOf(proven.reserves) : toldStanding(info.books);
  return html`<section>
    <h2>The books</h2>
    ${proven ? provenWords(proven, info, now) : html`<p class="none">By the node's word${verdict ? ", which it cannot prove" : "; being proven"}.</p>`}
    ${bothSides(standing)}
  </section>`;
}

const toldStanding = (told: Books): Standing => Object.fromEntries(Object.keys(WORDS).map((book) => [book, sats(told[book as keyof Books])])) as Standing;

function provenWords({ reserves, differ }: Extract<Verdict, { reserves: Reserves }>, info: Pick<Info, "books">, now: number): TemplateResult {
  const { number, timestamp } = reserves.header;
  const changed = differ.length ? [] : since(reserves, info);
  const word = ({ book, toldSat }: Difference) => `${WORDS[book]}: ${toldSat === undefined ? "nothing that is an amount" : btc(toldSat)}`;
  return html`<p class="none">
    <span aria-hidden="true">✓</span> Proven in this browser as of block ${link(["block", number], number)}, ${ago(timestamp, now)}.
    ${changed.length ? html`By the node's word these have changed since, and are not proven yet: ${changed.map(word).join("; ")}.` : nothing}
  </p>`;
}

function bothSides(standing: Standing): TemplateResult {
  const line = (book: keyof Books) => ({ what: WORDS[book], sat: standing[book] });
  const there = (["vaultSat", "unsweptSat", "lostSat"] as const).map(line);
  const owed = (["supplySat", "unclaimedSat", "owedSat", "unmintedSat", "reserveSat"] as const).map(line);
  const together = (lines: readonly { sat: bigint }[]) => lines.reduce((total, { sat }) => total + sat, 0n);
  const all = together(there);
  const rest = all - together(owed);
  return html`<div class="sides">
    <div><h3>What is there</h3>${sum(there.filter(({ sat }, at) => at === 0 || sat), { what: "Together", sat: all })}</div>
    <div>
      <h3>Whose it is</h3>
      ${sum([...owed.filter(({ sat }) => sat), ...(rest ? [{ what: rest > 0n ? "Nobody's: given away, or less than a satoshi of somebody" : "Missing", sat: rest }] : [])], { what: "Together", sat: all })}
    </div>
  </div>`;
}
