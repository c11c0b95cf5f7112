// Whether what is shown of a request is proven: a line under it that says by which block and how old that is, or that the node says something else than it can
// prove. What is proven is what the link asks for, not what the node answers.
import { html, nothing, type TemplateResult } from "lit-html";
import type { Context } from "../app/view.ts";
import type { FinalHeader } from "../evidence/certificate.ts";
import { type Deposit as ProvenDeposit, type Withdrawal as ProvenRecord, readOutpoint } from "../evidence/entries.ts";
import { NotProven, require } from "../evidence/failure.ts";
import type { Genesis } from "../evidence/genesis.ts";
import { OLD_AFTER_S, type ProvenAccount, type ProvenTransaction, type Shown, contentHash, proveDeposits, proveTransactions, proveWithdrawal } from "../evidence/live.ts";
import { readTransaction, transactionBytes } from "../evidence/transaction.ts";
import { type Deposit, type VaultTransaction, type Withdrawal, type WithdrawalStatus, sats } from "../peg/answers.ts";
import { link, route } from "./links.ts";
import { ago, counted, duration } from "./time.ts";

/** A block may lie between what the node told and what it proved: only what differs or fails so often in a row is another. */
const TIMES = 3;
/** Payments of one address that are proven together: of the list on one page. */
const MOST_PROVEN = 50;

/** `what`: of all that is shown, what is proven. `rest`: of what a reader may think so of, what is not. */
interface Proven {
  header: FinalHeader;
  what: string;
  rest?: string | undefined;
  /** What a reader would take for granted by where it is shown, and could not be checked. */
  doubt?: string | undefined;
}
type Verdict = Proven | { failed: string };

/** What a payment is asked for by: its outpoint, or the address (its output script, as hex) that it is to have paid. */
export interface AskedDeposit {
  outpoint?: string | undefined;
  script?: string | undefined;
  /** The bytes of its transaction without witness, as the ledger was shown them. */
  bytes?: string | undefined;
}

/** The check of one view, over all of its refreshes. */
export class Proof {
  readonly #context: Context;
  #verdict: Verdict | undefined;
  #failures = 0;
  /** What was told when it was proven last. */
  #proven: string | undefined;
  /** What the verdict is of. */
  #judged: string | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** `id`: of the link. `shown`: the vault transactions that are shown with it, and that of the output to which it is tied. What arrived, or is to, is proven by their bytes. */
  async ofWithdrawal(id: number, told: Withdrawal, shown: readonly Shown[] = []): Promise<void> {
    await this.#check([id, told, shown], async (genesis) => {
      require(told.id === id, `withdrawal ${id} was asked for, and the node answers withdrawal ${told.id}`);
      const { header, withdrawal, transactions } = await proveWithdrawal(this.#context.node, genesis, id, shown);
      requireSame(withdrawal !== undefined && isSameWithdrawal(told, withdrawal) && told.versions.every((version) => isVersionOf(told, withdrawal, version, transactions)));
      const statuses = standing(withdrawal, withdrawal.tie === undefined ? undefined : transactions.get(withdrawal.tie)?.entry);
      requireSame(statuses.includes(told.status) && told.tie === (told.status === "tied" || told.status === "paid" ? (withdrawal.tie ?? null) : null));
      const payer = told.paidBy === null ? undefined : transactions.get(told.paidBy);
      requireSame(!payer || (told.versions.some(({ number }) => number === told.paidBy) && payer.entry.isSettled));
      const unshown = told.versions.filter(({ number }) => !transactions.has(number)).length;
      const parts = ["whose it is", "its amounts", "whom it pays", ...(payer ? ["what arrived"] : []), ...(statuses.length === 1 ? ["where it stands"] : [])];
      const rest = [...(statuses.length === 1 ? [] : ["whether it is still tied"]), ...(unshown ? [`${counted(unshown, "transaction")} of those that are to pay it`] : []), "confirmations"];
      return { header, what: listed(parts), rest: listed(rest) };
    });
  }

  async ofDeposit(told: Deposit, asked: AskedDeposit): Promise<void> {
    await this.#check([told, asked], async (genesis) => {
      const { header, deposits } = await proveDeposits(this.#context.node, genesis, [outpointOf(told)]);
      const deposit = deposits.get(named(told));
      requireSame(deposit !== undefined && isSameDeposit(told, deposit));
      requireAsked(told, asked);
      const isToAddress = asked.bytes !== undefined && asked.script !== undefined;
      const parts = ["whose it is", "its amounts", "the height of its block", ...(isToAddress ? ["the address that it paid"] : []), "where it stands"];
      const rest = [...(asked.script !== undefined && !isToAddress ? ["that it paid this address"] : []), "confirmations"];
      return { header, what: listed(parts), rest: listed(rest), doubt: asked.script !== undefined && !isToAddress ? "this payment paid this address" : undefined };
    });
  }

  /** That the ledger has nothing under the outpoint of a link. */
  async ofNoDeposit(outpoint: string): Promise<void> {
    await this.#check([outpoint], async (genesis) => {
      const { header, deposits } = await proveDeposits(this.#context.node, genesis, [readOutpoint(outpoint)]);
      requireSame(deposits.get(outpoint) === undefined);
      return { header, what: "that the ledger has no deposit of this output" };
    });
  }

  async ofNoWithdrawal(id: number): Promise<void> {
    await this.#check([id], async (genesis) => {
      const { header, withdrawal } = await proveWithdrawal(this.#context.node, genesis, id);
      requireSame(withdrawal === undefined);
      return { header, what: "that there is none of this number" };
    });
  }

  /** Payments that are a list: each as the ledger has it. That they are of one address, and all of it, is the node's word. */
  async ofDeposits(told: readonly Deposit[]): Promise<void> {
    const some = told.slice(0, MOST_PROVEN);
    await this.#check([some], async (genesis) => {
      const { header, deposits } = await proveDeposits(this.#context.node, genesis, some.map(outpointOf));
      requireSame(some.every((one) => {
        const deposit = deposits.get(named(one));
        return deposit !== undefined && isSameDeposit(one, deposit);
      }));
      const beyond = told.length - some.length;
      const rest = ["that they paid this address", "that these are all", ...(beyond ? [`${counted(beyond, "payment")} behind these`] : [])];
      return { header, what: `of ${some.length === 1 ? "this payment" : `these ${some.length} payments`} whose they are, their amounts, and where they stand`, rest: listed(rest), doubt: `${some.length === 1 ? "this payment" : "these payments"} paid this address` };
    });
  }

  /** By its bytes, and the hash of what it was bound to do. */
  async ofVaultTransaction(number: number, told: VaultTransaction): Promise<void> {
    await this.#check([number, told], async (genesis) => {
      require(told.number === number, `vault transaction ${number} was asked for, and the node answers vault transaction ${told.number}`);
      const { header, transactions } = await proveTransactions(this.#context.node, genesis, [told]);
      const made = transactions.get(number);
      requireSame(made !== undefined && isSameVaultTransaction(told, made));
      return { header, what: "its Bitcoin transaction, what it spends and pays, its rate, what comes back to the vault, and where it stands", rest: "what its inputs are worth, and so its fee, and how deep it is" };
    });
  }

  /** What does not answer proves nothing, and disproves nothing: such errors are the view's. While neither the head nor what is told is new, what was proven stays. */
  async #check(told: unknown, prove: (genesis: Genesis) => Promise<Proven>): Promise<void> {
    const words = JSON.stringify(told);
    const last = this.#verdict && "header" in this.#verdict ? this.#verdict.header : undefined;
    if (last && words === this.#proven && last.hash === this.#context.info().head.hash) return;
    this.#proven = undefined;
    try {
      [this.#verdict, this.#proven, this.#failures] = [await prove(this.#context.genesis), words, 0];
      this.#judged = words;
    } catch (error) {
      if (!(error instanceof NotProven)) throw error;
      this.#failures += 1;
      // What is told otherwise than it was proven is not proven by that.
      if (this.#judged !== words) this.#verdict = undefined;
      if (this.#failures >= TIMES) this.#verdict = { failed: error.message };
    }
  }

  /** Above all that it is of: what is disproven stands nowhere as a fact first. */
  warning(): TemplateResult {
    const verdict = this.#verdict;
    const doubt = verdict && "header" in verdict ? verdict.doubt : undefined;
    const words = this.isDisproven ? notProven((verdict as { failed: string }).failed) : doubt === undefined ? nothing : html`<p class="notice warn">It could not be checked that ${doubt}: that is this node's word alone.</p>`;
    return html`<div role="alert">${words}</div>`;
  }

  get isDisproven(): boolean {
    return this.#verdict !== undefined && "failed" in this.#verdict;
  }

  /** What its owner can do by it: nothing by what is disproven, and what is not checked yet is marked. */
  guarded(acts: unknown): unknown {
    if (this.isDisproven) return nothing;
    return this.#verdict ? acts : html`${acts === nothing ? nothing : html`<p class="none">By this node's word, which is being checked: wait for that before you act.</p>`}${acts}`;
  }

  /** Under what it is of; what is disproven is said above it. */
  draw(): TemplateResult | typeof nothing {
    const verdict = this.#verdict;
    if (!verdict) return html`<p class="none">Checking what the node says of it: until then all of it is the node's word…</p>`;
    return "failed" in verdict ? nothing : provenWords(verdict, this.#context.now());
  }
}

export function notProven(why: string): TemplateResult {
  return html`<p class="notice bad"><strong>Not proven:</strong> ${why}. Believe nothing on this page of it; ask another node, or <code>causeway status</code>.</p>`;
}

/** By which block something is proven, what of it, and what not; an old block says what was. */
export function provenWords({ header, what, rest }: Proven, now: number): TemplateResult {
  const { number, signers, validators, timestamp } = header;
  return html`<p class="none"><span aria-hidden="true">✓</span> Proven in this browser, by block ${link(["block", number], number)}, ${ago(timestamp, now)}, which ${signers} of ${validators} validators signed (<a href=${route("evidence")}>how</a>): ${what}. The rest is the node's word${rest ? `: ${rest}` : ""}.</p>
    ${oldWords(header, now)}`;
}

export function oldWords({ timestamp }: Pick<FinalHeader, "timestamp">, now: number): TemplateResult | typeof nothing {
  const age = now - timestamp;
  return age > OLD_AFTER_S ? html`<p class="notice warn">That block is ${duration(age)} old: what was so then may not be so now. The sidechain stands still, this node is cut off from it, or it keeps newer blocks from you.</p>` : nothing;
}

const listed = (parts: readonly string[]): string => (parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : (parts[0] ?? ""));

function requireSame(isSame: boolean): asserts isSame {
  require(isSame, "the state says something else than the node");
}

const outpointOf = ({ txid, vout }: Deposit) => ({ txid: txid.toLowerCase(), vout });
const named = ({ txid, vout }: Deposit) => `${txid.toLowerCase()}:${vout}`;

function isSameDeposit(told: Deposit, deposit: ProvenDeposit): boolean {
  return (
    deposit.recipient === told.recipient.toLowerCase() &&
    deposit.claimant === told.claimant.toLowerCase() &&
    deposit.amountSat === sats(told.amountSat) &&
    deposit.maxFeeSat === sats(told.maxFeeSat) &&
    deposit.status === told.status &&
    deposit.height === told.height &&
    deposit.epoch === told.epoch &&
    (deposit.mintedSat ?? null) === (told.mintedSat === null ? null : sats(told.mintedSat)) &&
    (deposit.sweptBy ?? null) === told.sweptBy
  );
}

/** That it is the payment that was asked for, and that its output pays the address that was. */
function requireAsked(told: Deposit, { outpoint, script, bytes }: AskedDeposit): void {
  require(outpoint === undefined || outpoint === named(told), `output ${outpoint} was asked for, and the node answers ${named(told)}`);
  if (script === undefined || bytes === undefined) return;
  const { txid, outputs } = readTransaction(transactionBytes(bytes));
  require(txid === told.txid.toLowerCase(), `what is shown as transaction ${told.txid} has the id ${txid}`);
  require(outputs[told.vout]?.script === script, "it paid another address than this");
  requireSame(outputs[told.vout]?.amountSat === sats(told.amountSat));
}

function isSameWithdrawal(told: Withdrawal, withdrawal: ProvenRecord): boolean {
  return (
    withdrawal.owner === told.owner.toLowerCase() &&
    withdrawal.amountSat === sats(told.amountSat) &&
    withdrawal.maxFeeSat === sats(told.maxFeeSat) &&
    withdrawal.askedAt === told.askedAt &&
    withdrawal.script === told.script.toLowerCase() &&
    (withdrawal.paidBy ?? null) === told.paidBy
  );
}

function isSameVaultTransaction(told: VaultTransaction, { txid, entry }: ProvenTransaction): boolean {
  const status = entry.isVoid ? "void" : entry.isSettled ? "settled" : "bound";
  return (
    txid === told.txid.toLowerCase() &&
    contentHash(told.content) === entry.content &&
    entry.changeSat === sats(told.changeSat) &&
    entry.epoch === told.epoch &&
    (entry.spentBy ?? null) === told.spentBy &&
    status === told.status &&
    (told.status !== "settled" || entry.height === told.height)
  );
}

/** No version takes more than the maximum, whatever a node says of it; the bytes of one say what it pays. */
function isVersionOf(told: Withdrawal, { maxFeeSat, script }: ProvenRecord, { number, txid, chargeSat }: Withdrawal["versions"][number], transactions: ReadonlyMap<number, ProvenTransaction>): boolean {
  const made = transactions.get(number);
  const paysSat = sats(told.amountSat) - sats(chargeSat);
  return sats(chargeSat) <= maxFeeSat && (!made || (made.txid === txid && made.outputs.some((output) => `0x${output.script}` === script && output.amountSat === paysSat)));
}

/**
 * How a withdrawal can stand by its record and the output that it is tied to (`Withdrawals._status`): several, where it depends on what is not shown. A tie holds
 * until its output is lost, or finally spent by something that does not pay it.
 */
function standing({ givenBack, paidBy, tie }: ProvenRecord, output: ProvenTransaction["entry"] | undefined): WithdrawalStatus[] {
  if (givenBack) return [givenBack];
  if (paidBy !== undefined) return ["paid"];
  if (tie === undefined || output?.isGone || output?.isVoid) return ["queued"];
  return output && output.spentBy === undefined ? ["tied"] : ["queued", "tied"];
}

/** What was proven, or why it is not. What does not answer is neither. */
export async function provenOr<T>(asked: Promise<T>): Promise<T | { failed: string }> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof NotProven) return { failed: error.message };
    throw error;
  }
}

/** Under the facts of an account. */
export function accountWords(proven: ProvenAccount | { failed: string }, now: number): TemplateResult {
  return "failed" in proven ? notProven(proven.failed) : provenWords({ header: proven.header, what: "its coins, what it can claim, and how many transactions it sent" }, now);
}
