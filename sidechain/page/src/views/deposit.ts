// A deposit address, or one payment to it: what it is, where it stands, what it waits for, what is left of it.
import { html, nothing, type TemplateResult } from "lit-html";
import { readCall, topicOf } from "../abi/decode.ts";
import type { Context, View } from "../app/view.ts";
import { scriptOfAddress } from "../bitcoin/address.ts";
import { digitsOf } from "../bitcoin/bytes.ts";
import { bill, depositCharge } from "../bitcoin/fee.ts";
import { type Log, type Transaction, addressWord, turned } from "../chain/answers.ts";
import { fewLogs, timeOf } from "../chain/logs.ts";
import { claimable } from "../chain/ledger.ts";
import { amount, sum } from "../draw/amount.ts";
import { commandLine } from "../draw/command.ts";
import { bitcoinTransaction, link, shortened } from "../draw/links.ts";
import { account, happened, wholeAddress } from "../draw/readings.ts";
import { deposits as depositTable, depositChip } from "../draw/requests.ts";
import { Proof } from "../draw/proven.ts";
import { share } from "../draw/share.ts";
import { type Step, steps, waits as waitList } from "../draw/steps.ts";
import { counted } from "../draw/time.ts";
import { type Deposit, type DepositPlace, type DepositReport, type VaultTransaction, sats } from "../peg/answers.ts";
import { type Outlook, look } from "../peg/outlook.ts";
import { depositWaits, depthOf, isReclaimable, newestSweep, outpointOf, reclaimableFrom, unseenWaits } from "../peg/waits.ts";
import { type Meaning, understand } from "../search.ts";
import { type Request, actions, isTold, reclaimCommand, withRecord } from "./actions.ts";
import { placeIn } from "./requests.ts";

/** Payments to one address that are shown whole; more are a list. */
const MOST_WHOLE = 3;
/** Of a list of an address, on a page. */
const ON_PAGE = 50;

/** `deposit/ADDRESS or OUTPOINT`; of an address with many payments also `/FIRST/FROM`: the place in the list, and where the node's page begins. */
export function deposit(context: Context, what = "", page = "0", from = ""): View {
  const { node } = context;
  const { meanings, wrong } = understand(what, context.info().bitcoinNetwork);
  const [meaning] = meanings;
  const isOutpoint = meaning?.is === "outpoint";
  const canBe = isOutpoint || meaning?.is === "hash" || (meaning?.is === "bitcoin" && meaning.outputKey !== undefined);
  const first = /^\d{1,6}$/.test(page) ? Number(page) : 0;
  const place = placeIn(from);
  let report: DepositReport | undefined;
  let outlook: Outlook | undefined;
  let sweeps = new Map<number, VaultTransaction>();
  let logs: Log[] = [];
  let waiting = new Map<string, bigint>();
  /** Claimants with code: no wallet is theirs. */
  let isContract = new Set<string>();
  /** Of each payment that is shown whole; of a list together. */
  const proofs = new Map<string, Proof>();
  const listProof = new Proof(context);
  const asked = { outpoint: isOutpoint ? `${meaning.txid}:${meaning.vout}` : undefined, script: scriptAsked(meaning) };
  return {
    title: "Deposit",
    every: 3_000,
    async refresh() {
      if (!canBe) return;
      const info = context.info();
      const [got, now] = await Promise.all([node.ask<DepositReport>("peg_getDeposit", what, ...(place ? [place] : [])), look(node, info)]);
      const whole = got.deposits.length <= MOST_WHOLE ? got.deposits : [];
      const numbers = [...new Set(whole.flatMap(({ sweptBy }) => sweptBy ?? []))];
      const accounts = [...new Set(whole.filter(({ status }) => status === "minted").map(({ claimant }) => claimant))];
      const [found, transactions, owed] = await Promise.all([
        whole.length ? logsOf(context, got.address, whole) : [],
        Promise.all(numbers.map((number) => node.ask<VaultTransaction | null>("peg_getVaultTransaction", number).catch(() => null))),
        Promise.all(accounts.map((one) => claimable(node, info, one))),
      ]);
      const owing = accounts.filter((_, at) => (owed[at] ?? 0n) > 0n);
      const codes = await Promise.all(owing.map((one) => node.ask<string>("eth_getCode", one, "latest")));
      isContract = new Set(owing.filter((_, at) => codes[at] !== "0x"));
      if (asked.outpoint !== undefined && !got.deposits.length) await listProof.ofNoDeposit(asked.outpoint);
      const bytes = await paymentsOf(context, found, whole);
      const script = asked.script ?? (got.address === undefined ? undefined : digitsOf(scriptOfAddress(got.address, info.bitcoinNetwork)));
      const prove = (one: Deposit) => {
        const proof = proofs.get(outpointOf(one)) ?? new Proof(context);
        proofs.set(outpointOf(one), proof);
        return proof.ofDeposit(one, { ...asked, script, bytes: bytes.get(outpointOf(one)) });
      };
      await (whole.length === got.deposits.length ? Promise.all(whole.map(prove)) : listProof.ofDeposits(shownOf(got.deposits, first)));
      [report, outlook, logs] = [got, now, found];
      sweeps = new Map(transactions.flatMap((one) => (one ? [[one.number, one] as const] : [])));
      waiting = new Map(accounts.map((one, at) => [one, owed[at] ?? 0n]));
    },
    draw() {
      if (!canBe) {
        return html`<h1>This is no deposit</h1>
          <p>${wrong ?? "A deposit is named by its taproot address, by that address's output key, or by the output that paid it (txid:output)."}</p>
          <p>${link(["search", what], "Look for it elsewhere")} · ${link(["requests", "deposits"], "All deposits")}</p>`;
      }
      if (!report || !outlook) return html`<h1>Deposit</h1><p class="waiting">Asking the node…</p>`;
      const address = report.address ?? (isOutpoint ? undefined : what);
      const list = report.deposits;
      if (!list.length) return unpaid(context, what, isOutpoint, report, outlook, listProof);
      const known = { context, outlook, sweeps, logs, waiting, isContract };
      return html`<h1>${isOutpoint ? "Deposit" : list.length === 1 ? "Deposit" : `Deposit address with ${counted(list.length, "payment")}`}</h1>
        ${address ? html`<p>To ${wholeAddress(context.info(), address)}${isOutpoint ? html` (${link(["deposit", address], "all payments to it")})` : nothing}</p>` : nothing}
        ${address && !isOutpoint ? takeBack(context, address, list.filter((one) => !(list.length <= MOST_WHOLE ? proofs.get(outpointOf(one)) : listProof)?.isDisproven)) : nothing}
        ${list.length <= MOST_WHOLE ? html`${urgentFirst(context, list).map((one) => html`${whole(known, one, address, proofs.get(outpointOf(one)))}${proofs.get(outpointOf(one))?.draw() ?? nothing}`)}${isOutpoint ? nothing : onlyTold}` : html`${listProof.warning()}${many(what, list, first, from, report.next)}${listProof.draw()}`}
        ${share("deposit", what)}`;
    },
  };
}

/** What its owner can take back stands above everything else: one command for all of it. */
function takeBack(context: Context, address: string, list: readonly Deposit[]): TemplateResult | typeof nothing {
  const open = list.filter((one) => isReclaimable(one, context.info()));
  if (open.length < 2) return nothing;
  const together = open.reduce((total, { amountSat }) => total + sats(amountSat), 0n);
  return html`<section class="acts notice warn">
    <p><strong>${counted(open.length, "payment")}, together ${amount(together)}, can be taken back on Bitcoin</strong>, unless a sweep is first. ${withRecord(address)}</p>
    <p>${commandLine(reclaimCommand(address))}</p>
  </section>`;
}

/** Those that wait for their owner, then the others, each in their order. */
function urgentFirst(context: Context, list: readonly Deposit[]): Deposit[] {
  const isUrgent = (one: Deposit) => isReclaimable(one, context.info());
  return [...list.filter(isUrgent), ...list.filter((one) => !isUrgent(one))];
}

const onlyTold = html`<p class="none">That nothing else was paid to this address is the node's word.</p>`;

/** The script that the link names, as hex; none where it is of an outpoint. */
function scriptAsked(meaning: Meaning | undefined): string | undefined {
  if (meaning?.is === "bitcoin") return meaning.script.slice(2);
  // An output key (BIP 341).
  return meaning?.is === "hash" ? `5120${meaning.digits}` : undefined;
}

/** The page of a list that is shown, the newest first. */
const shownOf = (list: readonly Deposit[], first: number): Deposit[] => list.toReversed().slice(first, first + ON_PAGE);

/** Calls that are asked for to find the bytes of payments. */
const MOST_CALLS = 2 * MOST_WHOLE;

/** The bytes of the transactions that paid, by the outpoint, from the calls that proved them to the ledger: their hash says whether they are. None where a node has the call no more. */
async function paymentsOf({ node, info }: Context, logs: readonly Log[], list: readonly Deposit[]): Promise<Map<string, string>> {
  const proven = logs.filter(({ topics }) => topics[0] === topicOf("deposits", "DepositProven"));
  const wanted = list.flatMap((one) => {
    const log = proven.findLast((log) => isOf(log, one));
    return log ? [[outpointOf(one), log.transactionHash] as const] : [];
  });
  const calls = await Promise.all(wanted.slice(0, MOST_CALLS).map(([, hash]) => node.ask<Transaction | null>("eth_getTransactionByHash", hash).catch(() => null)));
  return new Map(calls.flatMap((call, at) => {
    const read = call && readCall(info().contracts, call.to, call.input);
    const bytes = read?.name === "prove" ? read.args.find(({ name }) => name === "transaction")?.value : undefined;
    return typeof bytes === "string" ? [[wanted[at]?.[0] ?? "", bytes] as const] : [];
  }));
}

function many(what: string, list: readonly Deposit[], first: number, from: string, next: DepositPlace | null): TemplateResult {
  const shown = shownOf(list, first);
  const at = (nth: number) => ["deposit", what, Math.max(0, nth), ...(from ? [from] : [])];
  return html`<p>${next ? `The first ${list.length} of more` : "All of them"}, the newest first.</p>
    ${depositTable(shown)}
    <p>
      ${first > 0 ? link(at(first - ON_PAGE), "Newer") : nothing} ${first + ON_PAGE < list.length ? link(at(first + ON_PAGE), "Older") : nothing}
      ${next ? link(["deposit", what, 0, `${next.block}.${next.logIndex}`], "Those after these") : nothing}
    </p>`;
}

function unpaid(context: Context, what: string, isOutpoint: boolean, report: DepositReport, outlook: Outlook, proof: Proof): TemplateResult {
  if (isOutpoint) {
    return html`<h1>No deposit is there</h1>
      <p>The ledger has no deposit of output ${shortened(what)}. A payment is there once it is in a Bitcoin block and the federation has proven it. What is no payment to a deposit address never is.</p>
      ${proof.warning()} ${proof.draw()}
      ${waitList(unseenWaits(outlook))} ${share("deposit", what)}`;
  }
  return html`<h1>No payment to this address is in the ledger yet</h1>
    <p class="none">By the node's word.</p>
    <p>${wholeAddress(context.info(), report.address ?? what)}</p>
    ${report.registered
      ? html`<p>It is a deposit address that this node knows: its relayers look for payments to it.</p>`
      : html`<p class="notice warn">This node has no registration of it: nobody looks for payments to it here, or it is no deposit address. If it is yours, <code>causeway register ${what}</code> tells the node of it by its record; a payment that was made long before may have to be shown by <code>causeway status ${what} --prove</code>. Do not pay it before you know what it is.</p>`}
    ${steps([
      { name: "Paid on Bitcoin", state: "now" },
      { name: "Proven to the ledger", state: "coming" },
      { name: "Swept into the vault", state: "coming" },
      { name: "Coins minted", state: "coming" },
    ])}
    ${waitList(unseenWaits(outlook, report.registered))} ${actions(context, { is: "address", address: what })} ${share("deposit", what)}`;
}

interface Known {
  context: Context;
  outlook: Outlook;
  sweeps: Map<number, VaultTransaction>;
  logs: Log[];
  waiting: Map<string, bigint>;
  isContract: ReadonlySet<string>;
}

function whole(known: Known, one: Deposit, address: string | undefined, proof: Proof | undefined): TemplateResult {
  const { context, outlook, sweeps } = known;
  const info = context.info();
  const sweep = one.sweptBy === null ? undefined : sweeps.get(one.sweptBy);
  const swept = sweep && sweep.height !== null ? { height: sweep.height, confirmations: sweep.confirmations } : undefined;
  const own = known.logs.filter((log) => isOf(log, one));
  const refused = refusal(known, one, own);
  const claim: Request = { is: "claimable", account: one.claimant, amountSat: refused ?? 0n, isContract: known.isContract.has(one.claimant) };
  // Money that needs its owner comes first.
  const isUrgent = isReclaimable(one, info);
  const guarded = (acts: unknown) => (proof ? proof.guarded(acts) : acts);
  const act = guarded(actions(context, { is: "deposit", deposit: one, address }));
  return html`<section class="card ${proof?.isDisproven ? "bad" : one.status === "minted" && !refused ? "good" : one.status === "gone" ? "bad" : refused ? "doubtful" : ""}">
    ${proof?.warning() ?? nothing}
    <h2 class="big">${amount(sats(one.amountSat))} ${depositChip(one.status)}</h2>
    ${refused || isTold(claim) ? guarded(actions(context, claim)) : nothing}
    ${isUrgent ? act : nothing} ${steps(line(known, one, swept, own))} ${waitList(depositWaits(one, outlook, swept))}
    ${one.status === "gone" ? html`<p class="notice bad">Something else than a sweep spent it on Bitcoin: its owner took it back, or it was stolen from the vault's key. No coins come of it${one.mintedSat === null ? "" : " that were not minted before"}.</p>` : nothing}
    ${bills(one, (sweep ?? newestSweep(one, outlook))?.content.rate, outlook)} ${isUrgent ? nothing : act}
    <h3>What it is</h3>
    <dl class="facts">
      <dt>Bitcoin output</dt><dd>${bitcoinTransaction(info.bitcoinNetwork, one.txid)}, output ${one.vout}, in Bitcoin block ${one.height} (${counted(one.confirmations, "confirmation")})</dd>
      <dt>Coins go to</dt><dd>${account(info, one.recipient)}</dd>
      ${one.claimant === one.recipient ? nothing : html`<dt>If it refuses them</dt><dd>${account(info, one.claimant)} claims them</dd>`}
      <dt>Pays at most</dt><dd>${amount(sats(one.maxFeeSat))}</dd>
      <dt>Swept by</dt>
      <dd>${sweep ? html`${link(["vault", sweep.number], `vault transaction ${sweep.number}`)}, ${bitcoinTransaction(info.bitcoinNetwork, sweep.txid)}` : one.sweptBy ? link(["vault", one.sweptBy], `vault transaction ${one.sweptBy}`) : "nothing yet"}</dd>
    </dl>
    <h3>On the sidechain</h3>
    ${happened(info, own, `Transactions of output ${one.txid.slice(0, 10)}…:${one.vout}`)}
  </section>`;
}

function line(known: Known, one: Deposit, swept: { height: number; confirmations: number } | undefined, own: readonly Log[]): Step[] {
  const { outlook, context } = known;
  const { info } = outlook;
  const pending = newestSweep(one, outlook);
  const isMinted = one.mintedSat !== null;
  const isSwept = one.sweptBy !== null;
  const depth = isSwept && !isMinted ? depthOf(one, outlook, swept) : undefined;
  const at = (event: string) => {
    const log = own.findLast(({ topics }) => topics[0] === topicOf("deposits", event));
    return log && timeOf(log);
  };
  const list: Step[] = [
    { name: "Paid on Bitcoin", state: "done", note: html`in block ${one.height}` },
    { name: "Proven to the ledger", state: "done", at: at("DepositProven") },
  ];
  if (one.status === "gone") return [...list, ...(isMinted ? [{ name: "Coins minted", state: "done" as const, at: at("DepositMinted") }] : []), { name: "Spent by something else", state: "failed", at: at("DepositGone") }];
  list.push({
    name: "Swept into the vault",
    state: isSwept ? "done" : "now",
    note: isSwept ? html`by ${link(["vault", one.sweptBy as number], `vault transaction ${one.sweptBy}`)}` : pending ? html`${link(["vault", pending.number], `vault transaction ${pending.number}`)}, ${bitcoinTransaction(info.bitcoinNetwork, pending.txid)}` : undefined,
  });
  const refused = refusal(known, one, own);
  list.push({
    name: refused ? "Coins minted, and refused by their recipient" : "Coins minted",
    state: isMinted ? (refused ? "failed" : "done") : isSwept ? "now" : "coming",
    at: at("DepositMinted"),
    note: isMinted ? html`for ${account(context.info(), one.recipient)}` : depth ? `${depth.confirmations} of ${counted(depth.required, "confirmation")}` : undefined,
  });
  return list;
}

/** What waits to be claimed of it; none when its recipient took it, or all was claimed. */
function refusal({ waiting, logs }: Known, one: Deposit, own: readonly Log[]): bigint | undefined {
  const minted = own.find(({ topics }) => topics[0] === topicOf("deposits", "DepositMinted"));
  const wasRefused = minted && logs.some((log) => log.topics[0] === topicOf("bridge", "Claimable") && log.transactionHash === minted.transactionHash && log.topics[1]?.endsWith(one.claimant.slice(2).toLowerCase()));
  const owed = waiting.get(one.claimant) ?? 0n;
  return wasRefused && owed > 0n ? owed : undefined;
}

/** The sum: exact where it was minted; by the rate of its sweep, or the present one, before. */
function bills(one: Deposit, sweptAt: number | undefined, { rate, info }: Outlook): TemplateResult {
  if (one.status === "gone" && one.mintedSat === null) return html``;
  const sent = sats(one.amountSat);
  const most = sats(one.maxFeeSat) < sent ? sats(one.maxFeeSat) : sent;
  const charge = depositCharge(BigInt(sweptAt ?? rate.rate), info.parameters);
  if (sweptAt === undefined && one.mintedSat === null && charge.totalSat > most) {
    return html`<p class="notice warn">Nothing comes of it at ${rate.rate / 1000} sat/vB: a sweep costs ${amount(charge.totalSat)}, and it can pay ${amount(most)}. It waits for a lower rate; what is not swept its owner takes back from Bitcoin block ${reclaimableFrom(one.height, info.parameters)} on.</p>`;
  }
  const at = bill(sent, most, charge);
  const isMinted = one.mintedSat !== null;
  const received = isMinted ? sats(one.mintedSat as number) : at.receivedSat;
  // Minted is what the ledger says; should it be by another rate than the sweep that is known, the charge is one line.
  const lines =
    received === at.receivedSat
      ? [{ what: "Bitcoin's part of the sweep", sat: -at.bitcoinSat }, { what: "Fee of the peg", sat: -at.pegSat }]
      : [{ what: "Sweep and fee of the peg", sat: received - sent }];
  return html`<h3>${isMinted ? "What came of it" : sweptAt !== undefined ? "What comes of it" : `What comes of it at ${rate.rate / 1000} sat/vB`}</h3>
    ${sum([{ what: "Paid to the address", sat: sent }, ...lines], { what: isMinted ? "Coins" : "Coins, if nothing changes", sat: received })}`;
}

async function logsOf({ node, info }: Context, address: string | undefined, list: readonly Deposit[]): Promise<Log[]> {
  const { contracts, bitcoinNetwork } = info();
  const ids = [...new Set(list.map(({ txid }) => `0x${turned(txid)}`))];
  const recipients = [...new Set(list.map(({ recipient }) => addressWord(recipient)))];
  const claimants = [...new Set(list.map(({ claimant }) => addressWord(claimant)))];
  const key = address === undefined ? null : `0x${digitsOf(scriptOfAddress(address, bitcoinNetwork)).slice(4)}`;
  const answers = await Promise.all([
    fewLogs(node, { address: contracts.deposits, topics: [topicOf("deposits", "DepositProven"), key, recipients] }),
    fewLogs(node, { address: contracts.deposits, topics: [topicOf("deposits", "DepositMinted"), null, ids] }),
    fewLogs(node, { address: contracts.deposits, topics: [["DepositGone", "DepositLeft"].map((name) => topicOf("deposits", name)), ids] }),
    fewLogs(node, { address: contracts.bridge, topics: [topicOf("bridge", "Claimable"), claimants] }),
  ].map((answer) => answer.catch(() => [])));
  return answers.flat();
}

/** Whether a log of the contract of deposits is of this one: `txid` is a topic or the first word, the output's number the word behind it. */
function isOf(log: Log, one: Deposit): boolean {
  const words = [...log.topics.slice(1), ...(log.data.slice(2, 2 + 64 * 4).match(/.{64}/g) ?? []).map((word) => `0x${word}`)];
  const id = `0x${turned(one.txid)}`;
  const vout = `0x${one.vout.toString(16).padStart(64, "0")}`;
  const isDeposits = log.topics[0] !== topicOf("bridge", "Claimable");
  const dataAt = log.topics.length - 1;
  const inTopics = words.slice(0, dataAt).includes(id) && words[dataAt] === vout;
  return isDeposits && (inTopics || (words[dataAt] === id && words[dataAt + 1] === vout));
}
