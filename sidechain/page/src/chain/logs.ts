// The newest logs of a filter, page by page, however many there are: the range of blocks grows until there are enough, and shrinks where there are too many.
import { type Node, NodeError } from "../node.ts";
import { type Log, hexOf, numberOf } from "./answers.ts";

export interface Filter {
  address?: string | string[];
  topics?: (string | string[] | null)[];
}

export interface LogPage {
  /** The newest first. */
  logs: Log[];
  /** Where the next page begins: only blocks up to this one; none when there are no more. */
  below: number | undefined;
  /** Logs of the oldest block that are left out: of one block alone there are more than a page has. */
  cut: number;
}

/** What a node answers when there are more than it sends. */
const TOO_MANY = -32005;
const FIRST_SPAN = 2_000;
const GROWS = 8;
/** Rounds until a page is given as far as it is. */
const MOST_ROUNDS = 12;
/** Blocks of which a page takes more logs than were asked for, so that a page never ends within a block; of a fuller block the rest is left out. */
const MOST_OF_PAGE = 500;

/** At least `wanted` of the newest logs up to block `to`, if there are so many; whole blocks, so that the next page begins cleanly. */
export async function newestLogs(node: Node, filter: Filter, to: number, wanted: number, from = 0): Promise<LogPage> {
  const logs: Log[] = [];
  let [end, span] = [to, FIRST_SPAN];
  for (let round = 0; round < MOST_ROUNDS && end >= from && logs.length < wanted; round++) {
    const begin = Math.max(from, end - span + 1);
    try {
      const some = await node.ask<Log[]>("eth_getLogs", { ...filter, fromBlock: hexOf(begin), toBlock: hexOf(end) });
      if (!Array.isArray(some)) throw new Error("the node answers no list of logs");
      logs.push(...some.slice(-MOST_OF_PAGE * 2).reverse());
      // Those of a range that were left out above are older than what is kept, so the next page begins behind the last that is kept.
      if (some.length > MOST_OF_PAGE * 2) return page(logs, wanted, begin);
      end = begin - 1;
      span *= GROWS;
    } catch (error) {
      if (!(error instanceof NodeError) || error.code !== TOO_MANY || span <= 1) throw error;
      span = Math.max(1, Math.floor(span / (GROWS * GROWS)));
    }
  }
  return page(logs, wanted, end >= from ? end : undefined);
}

function page(logs: Log[], wanted: number, rest: number | undefined): LogPage {
  if (logs.length <= wanted) return { logs, below: rest, cut: 0 };
  const last = numberOf(logs[wanted - 1]?.blockNumber);
  const whole = logs.filter((log) => numberOf(log.blockNumber) >= last);
  const below = last - 1;
  const more = whole.length < logs.length || rest !== undefined;
  return { logs: whole.slice(0, MOST_OF_PAGE), below: more && below >= 0 ? below : undefined, cut: Math.max(0, whole.length - MOST_OF_PAGE) };
}

/** What was asked for before: blocks are final, so their logs do not change. */
const known = new WeakMap<Node, Map<string, { logs: Log[]; to: number }>>();

/**
 * The newest logs of the blocks from `from` to `head`, the newest first, at most so many. Asked again, only the blocks since are asked for: what is looked at
 * every other second costs a node what is new.
 */
export async function recentLogs(node: Node, filter: Filter, from: number, head: number, most: number): Promise<Log[]> {
  const ofNode = known.get(node) ?? new Map<string, { logs: Log[]; to: number }>();
  known.set(node, ofNode);
  const key = JSON.stringify(filter);
  const before = ofNode.get(key);
  const goesOn = before !== undefined && before.to <= head && before.to >= from;
  if (goesOn && before.to === head) return before.logs;
  const { logs: fresh } = await newestLogs(node, filter, head, most, goesOn ? before.to + 1 : from);
  const logs = [...fresh, ...(goesOn ? before.logs : [])].filter((log) => numberOf(log.blockNumber) >= from).slice(0, most);
  ofNode.set(key, { logs, to: head });
  return logs;
}

/** All logs of a filter that can have only few, as those of one withdrawal; the newest, should there be more. */
export async function fewLogs(node: Node, filter: Filter, most = 200): Promise<Log[]> {
  const logs = await node.ask<Log[]>("eth_getLogs", { ...filter, fromBlock: "0x0", toBlock: "latest" });
  return Array.isArray(logs) ? logs.slice(-most) : [];
}

/** Seconds since 1970 of a log's block, where the node says so. */
export function timeOf(log: Log): number | undefined {
  return log.blockTimestamp === undefined ? undefined : numberOf(log.blockTimestamp);
}
