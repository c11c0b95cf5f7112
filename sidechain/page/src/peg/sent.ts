// A withdrawal that was sent from this browser and is in no block yet, so that a reload neither loses it nor sends it twice.
import type { Hex } from "viem";
import { forget, keep, kept } from "../kept.ts";

const KEY = "causeway.sent";

export interface Sent {
  networkId: string;
  owner: string;
  hash: Hex;
  amountSat: string;
  /** By an earlier page neither was kept. */
  maxFeeSat?: string;
  script?: string;
  /** Seconds since 1970. */
  at: number;
}

export function sent(networkId: string): Sent | undefined {
  const one = kept(KEY) as Sent | undefined;
  const isOne = typeof one === "object" && one.networkId === networkId && /^0x[0-9a-f]{64}$/.test(one.hash) && /^\d{1,16}$/.test(one.amountSat) && typeof one.at === "number" && (one.maxFeeSat === undefined || /^\d{1,16}$/.test(one.maxFeeSat)) && (one.script === undefined || /^0x[0-9a-f]{2,200}$/.test(one.script));
  return isOne ? one : undefined;
}

export const keepSent = (one: Sent): void => keep(KEY, one);

export const forgetSent = (): void => forget(KEY);
