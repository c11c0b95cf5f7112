// A withdrawal that was sent from this browser and is in no block yet, so that a reload neither loses it nor sends it twice.
import type { Hex } from "viem";

const KEY = "causeway.sent";

export interface Sent {
  networkId: string;
  owner: string;
  hash: Hex;
  amountSat: string;
  /** Seconds since 1970. */
  at: number;
}

export function sent(networkId: string): Sent | undefined {
  try {
    const one = JSON.parse(localStorage.getItem(KEY) ?? "null") as Sent | null;
    const isOne = one !== null && typeof one === "object" && one.networkId === networkId && /^0x[0-9a-f]{64}$/.test(one.hash) && /^\d{1,16}$/.test(one.amountSat) && typeof one.at === "number";
    return isOne ? one : undefined;
  } catch {
    return undefined;
  }
}

export function keepSent(one: Sent): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(one));
  } catch {
    // A browser that keeps nothing: the account's page shows it.
  }
}

export function forgetSent(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Nothing was kept then.
  }
}
