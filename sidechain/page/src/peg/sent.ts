// A withdrawal that was sent from this browser and is in no block yet, so that a reload neither loses it nor sends it twice.
import type { Hex } from "viem";
import { forget, keep, kept } from "../kept.ts";

const KEY = "causeway.sent";

export interface Sent {
  networkId: string;
  owner: string;
  hash: Hex;
  amountSat: string;
  maxFeeSat: string;
  /** Of the output that is to be paid, 0x… */
  script: string;
  /** Seconds since 1970, of the final block before it was signed. */
  sinceS: number;
  /** Seconds since 1970. */
  at: number;
}

export function sent(networkId: string): Sent | undefined {
  const one = kept(KEY) as Sent | undefined;
  const isOne = typeof one === "object" && one.networkId === networkId && /^0x[0-9a-f]{64}$/.test(one.hash) && /^\d{1,16}$/.test(one.amountSat) && /^\d{1,20}$/.test(one.maxFeeSat) && /^0x[0-9a-f]+$/.test(one.script) && typeof one.sinceS === "number" && typeof one.at === "number";
  return isOne ? one : undefined;
}

export const keepSent = (one: Sent): void => keep(KEY, one);

export const forgetSent = (): void => forget(KEY);
