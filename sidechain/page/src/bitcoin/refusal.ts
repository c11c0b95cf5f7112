// What the bridge would refuse, in words: what was seen, and what to do.
import { btc } from "../amount.ts";
import type { Refusal } from "./fee.ts";

/** Of a withdrawal. */
export function withdrawalRefused(refusal: Refusal): string {
  switch (refusal.why) {
    case "belowLeast":
      return `The smallest withdrawal is ${btc(refusal.leastSat)}.`;
    case "aboveWindow":
      return `At most ${btc(refusal.mostSat)} are paid out at once. Withdraw it in parts.`;
    case "maximumBelowFloor":
      return `The bridge takes no maximum fee below ${btc(refusal.leastSat)}. It is only a maximum: the payout costs what the day's rate asks for.`;
    case "maximumAboveMost":
      return `The maximum fee is more than ${btc(refusal.mostSat)}.`;
    case "leavesDust":
      return `With the maximum fee taken off, ${btc(refusal.restSat)} would be left. Bitcoin nodes relay no less than ${btc(refusal.leastSat)} to this kind of address. Withdraw more, or lower the maximum.`;
  }
}

/** Of a deposit. */
export function depositRefused(refusal: Refusal): string {
  switch (refusal.why) {
    case "belowLeast":
      return `The smallest deposit is ${btc(refusal.leastSat)}. The bridge would not take less; what is paid all the same is yours again after the timelock.`;
    case "aboveWindow":
      return `The bridge takes at most ${btc(refusal.mostSat)}.`;
    case "maximumBelowFloor":
      return `The bridge takes no maximum fee below ${btc(refusal.leastSat)}: no sweep costs less.`;
    case "maximumAboveMost":
      return `The maximum fee of a deposit is at most ${btc(refusal.mostSat)}.`;
    case "leavesDust":
      return "The maximum fee would leave nothing of the amount. Pay more, or lower the maximum.";
  }
}
