// Whether the state shows that a transaction did what it was signed for. That it is in a block, and what it did there, is a node's word.
import type { Hex } from "viem";
import type { Node } from "../node.ts";
import type { Genesis } from "./genesis.ts";
import type { Withdrawal } from "./entries.ts";
import { proveAccount, proveWithdrawal } from "./live.ts";

/** What was signed for; `maximumSat`: the new one. */
export type Done = { does: "cancel" | "refund"; id: number } | { does: "raise"; id: number; maximumSat: bigint } | { does: "claim"; account: Hex };

/** A withdrawal that was signed for. */
export interface Asked {
  owner: string;
  amountSat: bigint;
  /** As far as they are known. */
  maxFeeSat?: bigint;
  script?: string;
}

/** How often the state is asked for, which may be a block behind, and the pause between. */
const TRIES = 6;
const PAUSE_MS = 1_000;

/** Throws `NotProven` where the node proves nothing. */
export async function isDone(node: Node, genesis: Genesis, done: Done): Promise<boolean> {
  return inTime(async () => {
    if (done.does === "claim") return (await proveAccount(node, genesis, done.account)).claimableSat === 0n;
    const { withdrawal } = await proveWithdrawal(node, genesis, done.id);
    return withdrawal !== undefined && says(withdrawal, done);
  });
}

export function says({ givenBack, maxFeeSat }: Withdrawal, done: Exclude<Done, { does: "claim" }>): boolean {
  switch (done.does) {
    case "cancel":
      return givenBack === "cancelled";
    case "refund":
      return givenBack === "refunded";
    case "raise":
      return maxFeeSat >= done.maximumSat;
  }
}

/** Whether withdrawal `id` is the one that was signed for. Throws `NotProven`. */
export async function isQueued(node: Node, genesis: Genesis, id: number, asked: Asked): Promise<boolean> {
  return inTime(async () => {
    const { withdrawal } = await proveWithdrawal(node, genesis, id);
    return withdrawal !== undefined && isSame(withdrawal, asked);
  });
}

/** A maximum may have been raised since. */
export function isSame(proven: Withdrawal, { owner, amountSat, maxFeeSat, script }: Asked): boolean {
  return (
    proven.owner.toLowerCase() === owner.toLowerCase() &&
    proven.amountSat === amountSat &&
    (maxFeeSat === undefined || proven.maxFeeSat >= maxFeeSat) &&
    (script === undefined || proven.script.toLowerCase() === script.toLowerCase())
  );
}

async function inTime(look: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    if (await look()) return true;
    if (tries === TRIES) return false;
    await new Promise((wake) => setTimeout(wake, PAUSE_MS));
  }
}
