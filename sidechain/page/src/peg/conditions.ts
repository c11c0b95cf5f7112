// What is not as it should be with the bridge, the worst first: for everybody what waits.ts says to the owner of a withdrawal, and what stops more than payouts.
import { duration } from "../draw/time.ts";
import type { Info, Limits } from "./answers.ts";
import { stops } from "./waits.ts";

export interface Condition {
  text: string;
  /** Whether something that users wait for does not go on because of it. */
  stops: boolean;
}

/** A head that is older is late: blocks come every few seconds, and a heartbeat at least every ten. */
const HEAD_LATE_S = 60;
/** A clock that is behind the chain's by more says nothing of ages. */
const AHEAD_S = 60;
/** Bitcoin makes a block in ten minutes on average; one in a thousand takes longer than this. */
const HEADERS_LATE_S = 5_400;

/** `provenAge`: seconds by which the newest block that the node could prove was old then; what it tells of a newer one is its word alone. */
export function conditions(info: Info, limits: Limits, now: number, provenAge = 0): Condition[] {
  const found: Condition[] = [];
  const headAge = now - info.head.timestamp;
  if (headAge > HEAD_LATE_S) found.push({ stops: true, text: `The newest block is ${duration(headAge)} old: the sidechain stands still, or this node is cut off from it. Nothing is lost; it goes on when the validators are back.` });
  else if (provenAge > HEAD_LATE_S) found.push({ stops: true, text: `The newest block that the node can prove was ${duration(provenAge)} old, whatever it says of newer ones: the sidechain stands still, or this node keeps it from you. Ask another node.` });
  if (headAge < -AHEAD_S) found.push({ stops: false, text: `The newest block is ${duration(-headAge)} ahead of this device's clock: one of the two is wrong, and ages on this page with it.` });
  const ofPayouts = stops({ limits, now });
  found.push(...ofPayouts.map(({ text }) => ({ stops: true, text })));
  // The node judges by its last block, which may be older than a pause.
  if (limits.stopped && !ofPayouts.length) found.push({ stops: true, text: "The ledger begins no payout now, says the node, for a reason that is not known here." });
  if (info.groupKey === null) found.push({ stops: true, text: "The federation has no key yet: its members are making it." });
  if (info.bitcoinNetwork !== "regtest" && info.bitcoinTip.lagSeconds > HEADERS_LATE_S) {
    found.push({ stops: false, text: `The newest Bitcoin block that the ledger knows is ${duration(info.bitcoinTip.lagSeconds)} old: Bitcoin is slow, or nobody brings its headers. Deposits and payouts take longer.` });
  }
  if (limits.windowLeftSat < limits.windowSat / 10) found.push({ stops: false, text: `Much was taken out lately: large withdrawals wait until the limit has refilled, ${duration(limits.windowSeconds)} at most.` });
  return found;
}
