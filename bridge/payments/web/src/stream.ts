// Streams: one signature, then 32 bytes a payment. A secret is revealed backwards, hash by hash (docs/adr/0040); as `causeway-payments` has them in Rust.
import { type Hex, hashTypedData, keccak256 } from "viem";
import { type Domain, domainOf, types } from "./contract.js";

/** Ticks that one claim takes, so a stream has no more of them. */
export const MAX_TICKS = 1_024;

/** What is signed. Amounts are decimal digits. */
export interface StreamTerms {
  channelId: Hex;
  /** All that is paid before the first tick. */
  cumulativeAmount: string;
  /** What each adds. */
  tickAmount: string;
  /** The most there are. */
  ticks: number;
  /** The first tick's hash. */
  root: Hex;
}

export interface SignedStream extends StreamTerms {
  signature: Hex;
}

export interface Tick {
  root: Hex;
  number: number;
  tick: Hex;
}

/** The root first, then tick 1, tick 2 and so on, down to the seed. */
export function chain(seed: Hex, ticks: number): Hex[] {
  const hashes = [seed];
  for (let made = 0; made < Math.min(ticks, MAX_TICKS); made += 1) hashes.push(keccak256(hashes[made]!));
  return hashes.reverse();
}

/** The typed data that is signed. */
export function streamData(domain: Domain, { channelId, cumulativeAmount, tickAmount, ticks, root }: StreamTerms) {
  const message = { channelId, cumulativeAmount: BigInt(cumulativeAmount), tickAmount: BigInt(tickAmount), ticks, root };
  return { domain: domainOf("EVM Payment Channel", domain), types, primaryType: "Stream" as const, message };
}

/** Its digest, as the contract's `getStreamDigest`. */
export const streamDigest = (domain: Domain, terms: StreamTerms): Hex => hashTypedData(streamData(domain, terms));
