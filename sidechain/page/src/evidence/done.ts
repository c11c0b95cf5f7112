// That a call which a node says was carried out did what it was sent for: by the ledger at a final block that is not before the receipt's.
import type { Hex } from "viem";
import { duration } from "../draw/time.ts";
import type { Node } from "../node.ts";
import type { FinalHeader } from "./certificate.ts";
import { NotProven, require } from "./failure.ts";
import type { Genesis } from "./genesis.ts";
import { OLD_AFTER_S, proveAccount, proveWithdrawal } from "./live.ts";

/** What an owner had the ledger do, with the account that signed it. */
export type Done =
  | { does: "cancel"; id: number; by: string }
  | { does: "refund"; id: number }
  | { does: "raise"; id: number; maxFeeSat: bigint }
  | { does: "claim"; by: string };

/** What a withdrawal was signed as. */
export interface Signed {
  owner: string;
  amountSat: bigint;
  /** Its owner may have raised it since. */
  maxFeeSat: bigint;
  script: string;
  /** The final block before it was signed is of then: an earlier one of the same kind is another. */
  sinceS: number;
}

const TRIES = 20;
const PAUSE_MS = 500;

/** Ends when the ledger shows it. Throws `NotProven` where it shows something else, or nothing so new. */
export async function proveDone(node: Node, genesis: Genesis, done: Done, block: number, now: () => number, pauseMs = PAUSE_MS): Promise<FinalHeader> {
  if (done.does === "claim") {
    const account = await since(block, now, pauseMs, () => proveAccount(node, genesis, done.by as Hex));
    require(account.claimableSat === 0n, `by block ${account.header.number} ${account.claimableSat} sat still wait to be claimed`);
    return account.header;
  }
  const { header, withdrawal } = await since(block, now, pauseMs, () => proveWithdrawal(node, genesis, done.id));
  require(withdrawal !== undefined, `by block ${header.number} there is no withdrawal ${done.id}`);
  if (done.does === "raise") require(withdrawal.maxFeeSat >= done.maxFeeSat, `by block ${header.number} its maximum is ${withdrawal.maxFeeSat} sat, not ${done.maxFeeSat} sat`);
  else require(withdrawal.givenBack === (done.does === "cancel" ? "cancelled" : "refunded"), `by block ${header.number} the coins were not given back so`);
  if (done.does === "cancel") require(withdrawal.owner === done.by.toLowerCase(), `by block ${header.number} withdrawal ${done.id} is of ${withdrawal.owner}`);
  return header;
}

/** That the withdrawal of this number is the one that was signed. Throws `NotProven`. */
export async function proveSigned(node: Node, genesis: Genesis, id: number, signed: Signed, block: number, now: () => number, pauseMs = PAUSE_MS): Promise<FinalHeader> {
  const { header, withdrawal } = await since(block, now, pauseMs, () => proveWithdrawal(node, genesis, id));
  require(withdrawal !== undefined, `by block ${header.number} there is no withdrawal ${id}`);
  const { owner, amountSat, maxFeeSat, script, sinceS } = signed;
  require(withdrawal.owner === owner.toLowerCase(), `withdrawal ${id} is of ${withdrawal.owner}, and ${owner} signed`);
  require(withdrawal.amountSat === amountSat, `withdrawal ${id} is of ${withdrawal.amountSat} sat, and ${amountSat} sat were signed`);
  require(withdrawal.script === script, `withdrawal ${id} pays the script ${withdrawal.script}, and ${script} was signed`);
  require(withdrawal.maxFeeSat >= maxFeeSat, `withdrawal ${id} pays at most ${withdrawal.maxFeeSat} sat, and ${maxFeeSat} sat were signed`);
  require(withdrawal.askedAt >= sinceS, `withdrawal ${id} was asked for before this one was signed`);
  return header;
}

/** Asked again while the node shows no block so new, or does not answer: the newest one gets its certificate a little later. */
async function since<T extends { header: FinalHeader }>(block: number, now: () => number, pauseMs: number, prove: () => Promise<T>): Promise<T> {
  require(Number.isSafeInteger(block) && block > 0, "its receipt names no block");
  for (let left = TRIES; ; left--) {
    let last: unknown;
    try {
      const proven = await prove();
      const { number, timestamp } = proven.header;
      const age = now() - timestamp;
      if (number >= block && age <= OLD_AFTER_S) return proven;
      last = new NotProven(number < block ? `the newest block that the node can show to be final is ${number}, and its receipt is of block ${block}` : `the newest block that the node can show to be final is ${duration(age)} old`);
    } catch (error) {
      last = error;
    }
    if (left <= 1) throw last;
    await new Promise((wake) => setTimeout(wake, pauseMs));
  }
}
