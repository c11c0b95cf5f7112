// How the peg stands, as far as a node tells: what explains the wait of each deposit and withdrawal. As bridge/cli/src/user/outlook.rs and
// bridge/src/io/sidechain/waiting.rs.
import { readLog, topicOf } from "../abi/decode.ts";
import { bytesOf } from "../bitcoin/bytes.ts";
import { type Log, numberOf, turned, word } from "../chain/answers.ts";
import { recentLogs, timeOf } from "../chain/logs.ts";
import type { Node } from "../node.ts";
import type { Info, Limits, Quote, Sat, Vault } from "./answers.ts";
import { askQuote } from "./quote.ts";
import { type Gathering, KIND, type Post, type WaitedFor, byGatherings, byKeyGeneration, bySigners, session } from "./waited_for.ts";

export interface Rate {
  /** Satoshis per 1,000 vB. */
  rate: number;
  /** Who says that Bitcoin wants it. */
  toldBy: "proposal" | "lastBound";
}

export interface Proposal {
  number: number;
  member: number;
  rate: number;
  /** Outpoints as `txid:vout`, and ids. */
  deposits: string[];
  withdrawals: number[];
  approvals: Set<number>;
  openedAt: number;
  bound: boolean;
}

export interface FullLimits extends Limits {
  /** Minted less deep than the next tier's confirmations, of each tier but the last. */
  tierUsedSat?: Sat[];
}

export interface Outlook {
  info: Info;
  limits: FullLimits;
  quote: Quote;
  vault: Vault;
  /** The newest last. */
  proposals: Proposal[];
  waitedFor: WaitedFor[];
  rate: Rate;
  /** Of the last block, in seconds. */
  now: number;
}

/** Blocks in which members' words about each other count. */
const RECENT_BLOCKS = 5_000;
/** Seconds after which a proposal that nothing was made of says nothing of the present rate. */
const YOUNG_S = 600;
const MOST_LOGS = 500;
const MAX_ATTEMPTS = 64;

export async function look(node: Node, info: Info): Promise<Outlook> {
  const { head, contracts } = info;
  const from = Math.max(0, head.number - RECENT_BLOCKS);
  const kinds = ["Proposed", "Approved", "Bound"].map((name) => topicOf("vault", name));
  const posted = topicOf("signingBoard", "Posted");
  const spoken = [word(KIND.approval), word(KIND.commitments)];
  const [limits, vault, quote, ofVault, ofBoard, confirmed] = await Promise.all([
    node.ask<FullLimits>("peg_getLimits"),
    node.ask<Vault>("peg_getVault"),
    askQuote(node, info),
    recentLogs(node, { address: contracts.vault, topics: [kinds] }, from, head.number, MOST_LOGS),
    // With a key only what members say of each other is of use; without one, the parts of it since the beginning.
    info.groupKey ? recentLogs(node, { address: contracts.signingBoard, topics: [posted, null, null, spoken] }, from, head.number, MOST_LOGS) : recentLogs(node, { address: contracts.signingBoard }, 0, head.number, MOST_LOGS),
    info.groupKey ? Promise.resolve([]) : node.ask<Log[]>("eth_getLogs", { address: contracts.federation, topics: [topicOf("federation", "KeyConfirmed"), word(info.epoch)], fromBlock: "0x0", toBlock: "latest" }),
  ]);
  const proposals = proposalsOf(info, ofVault.toReversed());
  const board = postsOf(info, ofBoard.toReversed());
  const waitedFor = waited(info, vault, proposals, board, new Set(confirmed.map((log) => numberOf(shortWord(log.topics[2])))));
  return { info, limits, quote, vault, proposals, waitedFor, rate: rateOf(proposals, quote.rate, info), now: head.timestamp };
}

/** What most members agree on; else what was last paid. */
export function rateOf(proposals: readonly Proposal[], last: number, info: Info): Rate {
  const mayLie = Math.max(0, info.members.length - info.threshold);
  const backed = proposals.toReversed().find((proposal) => proposal.approvals.size > mayLie && info.head.timestamp - proposal.openedAt <= YOUNG_S);
  const { minRate, maxRate } = info.parameters;
  const rate = Math.min(maxRate, Math.max(minRate, backed?.rate ?? last));
  return { rate, toldBy: backed ? "proposal" : "lastBound" };
}

/** Logs of the vault in their order, the oldest first. */
export function proposalsOf(info: Info, logs: readonly Log[]): Proposal[] {
  const all: Proposal[] = [];
  for (const log of logs) {
    const read = readLog(info.contracts, log);
    const value = (name: string) => read?.args.find((one) => one.name === name)?.value;
    if (!read || read.contract !== "vault") continue;
    if (read.name === "Proposed") {
      const content = value("content") as { rate: bigint; deposits: { txid: string; vout: number }[]; withdrawals: readonly bigint[] };
      all.push({
        number: Number(value("proposal")),
        member: Number(value("member")),
        rate: Number(content.rate),
        deposits: content.deposits.map(({ txid, vout }) => `${turned(txid)}:${vout}`),
        withdrawals: content.withdrawals.map(Number),
        approvals: new Set(),
        openedAt: timeOf(log) ?? 0,
        bound: false,
      });
      continue;
    }
    const proposal = all.findLast(({ number }) => number === Number(value("proposal")));
    if (read.name === "Approved") proposal?.approvals.add(Number(value("member")));
    else if (read.name === "Bound" && proposal) proposal.bound = true;
  }
  return all;
}

function shortWord(topic: string | undefined): string {
  return `0x${(topic ?? "").replace(/^0x0*/, "") || "0"}`;
}

export function postsOf(info: Info, logs: readonly Log[]): Post[] {
  return logs.flatMap((log) => {
    const read = readLog(info.contracts, log);
    if (read?.name !== "Posted") return [];
    const value = (name: string) => read.args.find((one) => one.name === name)?.value;
    const payload = bytesOf(String(value("payload")).slice(2)) ?? new Uint8Array();
    return [{ session: String(value("session")), member: Number(value("member")), kind: Number(value("kind")), payload, time: timeOf(log) ?? 0 }];
  });
}

/** Whose part of a key is missing, while there is none; later whom the others name, and who does not approve what most others do. */
export function waited(info: Info, vault: Vault, proposals: readonly Proposal[], board: readonly Post[], confirmed: ReadonlySet<number>): WaitedFor[] {
  const { threshold } = info;
  const members = info.members.length;
  const told = new Map<number, string>();
  if (info.groupKey === null) {
    const { step, missing } = byKeyGeneration(board, info.networkId, info.epoch, members, confirmed);
    for (const member of missing) told.set(member, `its ${step} is missing`);
  } else {
    for (const [member, by] of bySigners(board, members, threshold)) told.set(member, `late in signing: ${by} members say so`);
    const gatherings = [...attempts(board, info, vault), ...unanswered(proposals, info.head.timestamp)];
    for (const [member, what] of byGatherings(gatherings, members, threshold)) told.set(member, what);
  }
  const name = (index: number) => info.members.find((member) => member.index === index)?.name ?? "";
  return [...told].sort(([a], [b]) => a - b).map(([member, what]) => ({ member, name: name(member), what }));
}

/** Those that came after the last one that was bound: while something is, the federation works. */
function unanswered(proposals: readonly Proposal[], now: number): Gathering[] {
  const after = proposals.slice(proposals.findLastIndex((proposal) => proposal.bound) + 1);
  return after.map(({ number, approvals, openedAt }) => ({ what: `has not approved proposal ${number}`, there: approvals, age: Math.max(0, now - openedAt) }));
}

/** Attempts after the first at signing what waits, by their commitments. Those of the first are the approvals, which were enough. */
function attempts(board: readonly Post[], info: Info, vault: Vault): Gathering[] {
  const found: Gathering[] = [];
  for (const { number } of vault.pending) {
    for (let attempt = 2; attempt <= MAX_ATTEMPTS; attempt++) {
      const wanted = session(info.networkId, "signing", number, attempt);
      const posts = board.filter((post) => post.session === wanted && post.kind === KIND.commitments);
      if (!posts.length) break;
      const since = Math.min(...posts.map(({ time }) => time));
      found.push({ what: `has not committed to sign vault transaction ${number}`, there: new Set(posts.map(({ member }) => member)), age: Math.max(0, info.head.timestamp - since) });
    }
  }
  return found;
}
