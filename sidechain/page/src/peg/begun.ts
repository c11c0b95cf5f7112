// Deposits that were begun in this browser, so that they are found again after a reload. Public parts alone: what can be spent is in the record's file.
import { keep, kept } from "../kept.ts";

const KEY = "causeway.begun";
/** The oldest go. */
const MOST = 50;

export interface Begun {
  networkId: string;
  address: string;
  recipient: string;
  /** The most that its sweep may cost, in sat; of one that was begun before this was kept, none. */
  maxFeeSat?: string;
  /** Seconds since 1970. */
  at: number;
}

export function begun(networkId: string): Begun[] {
  return all().filter((one) => one.networkId === networkId);
}

export function begin(one: Begun): void {
  const others = all().filter(({ address }) => address !== one.address);
  keep(KEY, [one, ...others].slice(0, MOST));
}

function all(): Begun[] {
  const list = kept(KEY);
  return Array.isArray(list) ? list.filter(isBegun).slice(0, MOST) : [];
}

function isBegun(value: unknown): value is Begun {
  const one = value as Begun | null;
  return typeof one === "object" && one !== null && [one.networkId, one.address, one.recipient].every((part) => typeof part === "string") && typeof one.at === "number";
}
