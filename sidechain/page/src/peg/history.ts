// What went in and out lately and how long it took, by logs; and what the books said at past blocks, where a node keeps that state.
import { decodeAbiParameters, toFunctionSelector } from "viem";
import { readLog, topicOf } from "../abi/decode.ts";
import { type Block, type Log, hexOf, numberOf, wei } from "../chain/answers.ts";
import { newestLogs, timeOf } from "../chain/logs.ts";
import { WEI_PER_SAT } from "../amount.ts";
import type { Node } from "../node.ts";
import { type Info, sats } from "./answers.ts";

/** Something that went in (`sat` above zero) or out, and when. */
export interface Flow {
  time: number;
  sat: bigint;
}

/** What the books said. */
export interface Standing {
  time: number;
  vaultSat: bigint;
  supplySat: bigint;
}

export interface History {
  standings: Standing[];
  flows: Flow[];
  /** Seconds that the newest ones took: from the proof to the coins, and from the request to the payout that is settled. */
  depositTook: number[];
  payoutTook: number[];
}

/** Points of the lines: each takes three questions, and all fit one batch. */
const POINTS = 32;
/** Of each kind; older ones are not drawn. */
const MOST_FLOWS = 200;
/** Of which the times are measured. */
const MEASURED = 20;
/** Coins of the genesis block, in satoshis, which the bridge holds as long as they are not outside. */
const ALL_SAT = 21_000_000n * 100_000_000n;
const BOOKS = [{ type: "uint64" }, { type: "uint64" }] as const;

export async function history(node: Node, info: Info): Promise<History> {
  const { contracts, head } = info;
  const of = (address: string, event: string, name: "bridge" | "deposits") => newestLogs(node, { address, topics: [topicOf(name, event)] }, head.number, MOST_FLOWS).then(({ logs }) => logs.slice(0, MOST_FLOWS));
  const [minted, proven, paid, standings] = await Promise.all([of(contracts.deposits, "DepositMinted", "deposits"), of(contracts.deposits, "DepositProven", "deposits"), of(contracts.bridge, "WithdrawalPaid", "bridge"), standingsOf(node, info)]);
  const ids = [...new Set(paid.flatMap(({ topics }) => topics[1] ?? []))];
  const queued = ids.length ? await node.ask<Log[]>("eth_getLogs", { address: contracts.bridge, topics: [topicOf("bridge", "WithdrawalQueued"), ids], fromBlock: "0x0", toBlock: "latest" }) : [];
  return { standings, ...measured(info, minted, proven, paid, queued) };
}

/** Pure: the newest first in each list. */
export function measured(info: Info, minted: readonly Log[], proven: readonly Log[], paid: readonly Log[], queued: readonly Log[]): Omit<History, "standings"> {
  const value = (log: Log, name: string) => readLog(info.contracts, log)?.args.find((one) => one.name === name)?.value;
  const outpoint = (log: Log) => `${String(value(log, "txid"))}:${String(value(log, "vout"))}`;
  const provenAt = new Map(proven.map((log) => [outpoint(log), timeOf(log)] as const));
  const asked = new Map(queued.map((log) => [log.topics[1], { at: timeOf(log), sat: value(log, "amountSat") }] as const));
  const flows: Flow[] = [];
  const [depositTook, payoutTook]: [number[], number[]] = [[], []];
  for (const log of minted) {
    const [time, sat, from] = [timeOf(log), value(log, "mintedSat"), provenAt.get(outpoint(log))];
    if (time === undefined || typeof sat !== "bigint") continue;
    flows.push({ time, sat });
    if (from !== undefined && depositTook.length < MEASURED) depositTook.push(Math.max(0, time - from));
  }
  for (const log of paid) {
    const [time, request] = [timeOf(log), asked.get(log.topics[1])];
    if (time === undefined || typeof request?.sat !== "bigint") continue;
    flows.push({ time, sat: -request.sat });
    if (request.at !== undefined && payoutTook.length < MEASURED) payoutTook.push(Math.max(0, time - request.at));
  }
  return { flows: flows.sort((a, b) => a.time - b.time), depositTook, payoutTook };
}

async function standingsOf(node: Node, info: Info): Promise<Standing[]> {
  const { head, contracts, books } = info;
  const data = toFunctionSelector("books()");
  const blocks = sampled(head.number, POINTS);
  const past = await Promise.all(
    blocks.map(async (number) => {
      try {
        const at = hexOf(number);
        const [answer, balance, block] = await Promise.all([
          node.ask<string>("eth_call", { to: contracts.bridge, data }, at),
          node.ask<string>("eth_getBalance", contracts.bridge, at),
          node.ask<Block | null>("eth_getBlockByNumber", at, false),
        ]);
        // A struct of whole words, the vault's first.
        const [vaultSat] = decodeAbiParameters(BOOKS, answer as `0x${string}`);
        const inside = wei(balance) / WEI_PER_SAT;
        return block ? { time: numberOf(block.timestamp), vaultSat, supplySat: ALL_SAT - inside } : undefined;
      } catch (error) {
        // Nodes keep the state of so many blocks as they like; that this one is away is told.
        if (error instanceof Error && error.name === "NodeDown") throw error;
        return undefined;
      }
    }),
  );
  const now = { time: head.timestamp, vaultSat: sats(books.vaultSat), supplySat: sats(books.supplySat) };
  return [...past.filter((one) => one !== undefined), now].sort((a, b) => a.time - b.time);
}

/** So many numbers of blocks before the head, evenly from the first on. */
export function sampled(head: number, count: number): number[] {
  const wanted = Array.from({ length: count }, (_, nth) => Math.floor((head * nth) / count));
  return [...new Set(wanted)].filter((number) => number < head);
}

/** The middle one, and the ends. */
export interface Range {
  count: number;
  median: number;
  least: number;
  most: number;
}

export function rangeOf(seconds: readonly number[]): Range | undefined {
  const sorted = [...seconds].sort((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[Math.floor((sorted.length - 1) / 2)], sorted.at(-1)];
  return least === undefined || median === undefined || most === undefined ? undefined : { count: sorted.length, median, least, most };
}
