// The deposit address, computed here from the federation's key: whatever a node answers is compared with it (mainchain/src/deposit.rs).
//
//   output key Q = P + tG      P  group key of the epoch: the federation spends by the key path
//                              t  = TapTweak(P || leaf hash), BIP341, one leaf of version 0xc0:
//                                 <d> DROP <delay> CSV DROP <U> CHECKSIG
//   d  tagged hash of (network id, bridge, recipient, max fee, claimant, data hash): which sidechain, who gets the coins, at which cost
//   U  the owner's reclaim key: after `delay` blocks it alone takes the money back
//
// These bytes are in wallets and on Bitcoin: they are frozen by the same vectors as there.
import { schnorr, secp256k1 } from "@noble/curves/secp256k1.js";
import { type Hex, hexToBytes } from "viem";
import type { BitcoinNetwork } from "../peg/answers.ts";
import { addressOfScript } from "./address.ts";
import { joined, numberBytes } from "./bytes.ts";
import { scriptOf } from "./script.ts";

/** Which sidechain a deposit goes to, and how long the federation has to sweep it. */
export interface Peg {
  /** Hash of all that the sidechain's operators agreed on. */
  networkId: Hex;
  /** Address of the contract Bridge. */
  bridge: Hex;
  /** Blocks after which the owner can take an unswept deposit back: 1 to 65,535 (BIP112). */
  reclaimDelay: number;
}

/** What a depositor commits to with the address. */
export interface Terms {
  recipient: Hex;
  /** Who can fetch the coins should the recipient's code refuse them. */
  claimant: Hex;
  /** x-only. */
  reclaimKey: Hex;
  /** The most that the sweep may take off. */
  maxFeeSat: bigint;
  /** Hash of data for the recipient; zero: none. */
  dataHash: Hex;
}

export interface DepositOutput {
  /** x-only. */
  outputKey: Uint8Array;
  leaf: Uint8Array;
  merkleRoot: Uint8Array;
  /** What is paid: `5120<output key>`. */
  script: Uint8Array;
}

export const NO_DATA: Hex = `0x${"00".repeat(32)}`;

const TAG = "causeway/deposit";
const LEAF_VERSION = 0xc0;
const KEY_BYTES = 32;
const MOST_DELAY = 0xffff;
const [OP_DROP, OP_CSV, OP_CHECKSIG] = [0x75, 0xb2, 0xac];

const { Point } = secp256k1;
const { lift_x: liftX, pointToBytes, taggedHash } = schnorr.utils;

/** The tagged hash `d` (BIP340) of who gets the coins where. */
export function commitment({ networkId, bridge }: Peg, { recipient, maxFeeSat, claimant, dataHash }: Terms): Uint8Array {
  return taggedHash(TAG, sized(networkId, 32), sized(bridge, 20), sized(recipient, 20), numberBytes(maxFeeSat, 8), sized(claimant, 20), sized(dataHash, 32));
}

/** The one leaf. */
export function leafScript(peg: Peg, terms: Terms): Uint8Array {
  const { reclaimDelay: delay } = peg;
  if (!Number.isInteger(delay) || delay < 1 || delay > MOST_DELAY) throw new RangeError(`a reclaim delay of ${delay} blocks, expected 1 to ${MOST_DELAY}`);
  const drop = Uint8Array.of(OP_DROP);
  const timelock = joined(pushedNumber(delay), Uint8Array.of(OP_CSV), drop);
  const owner = joined(push(sized(terms.reclaimKey, KEY_BYTES)), Uint8Array.of(OP_CHECKSIG));
  return joined(push(commitment(peg, terms)), drop, timelock, owner);
}

/** The output to pay, for the group key of the terms' epoch (x-only). Throws where one of the keys is none. */
export function depositOutput(peg: Peg, terms: Terms, groupKey: Hex): DepositOutput {
  // Coins on a leaf whose key is no point could never be taken back.
  point(terms.reclaimKey, "the reclaim key");
  const leaf = leafScript(peg, terms);
  const merkleRoot = tapLeaf(leaf);
  const outputKey = tweaked(groupKey, merkleRoot);
  return { outputKey, leaf, merkleRoot, script: scriptOf({ kind: "witness", version: 1, bytes: outputKey }) };
}

/** The address to pay. */
export function depositAddress(peg: Peg, terms: Terms, groupKey: Hex, network: BitcoinNetwork): string {
  return addressOfScript(depositOutput(peg, terms, groupKey).script, network) as string;
}

/** Hash of a leaf, which is the root of its tree where it is the only one (BIP341; scripts below 253 bytes). */
export function tapLeaf(script: Uint8Array): Uint8Array {
  return taggedHash("TapLeaf", Uint8Array.of(LEAF_VERSION, script.length), script);
}

/** The output key: the internal key tweaked with the root of its scripts (BIP341), x-only. */
export function tweaked(internalKey: Hex, merkleRoot: Uint8Array): Uint8Array {
  const internal = point(internalKey, "the federation's key");
  const tweak = Point.Fn.fromBytes(taggedHash("TapTweak", pointToBytes(internal), merkleRoot));
  return pointToBytes(internal.add(Point.BASE.multiply(tweak)));
}

/** The point of an x-only key (BIP340). */
export function point(key: Hex, what: string): ReturnType<typeof liftX> {
  try {
    return liftX(BigInt(key));
  } catch {
    throw new RangeError(`${what}, ${key}, is not a point of the curve`);
  }
}

/** Hex digits of exactly so many bytes: a shorter one must not move what stands behind it. */
function sized(hex: Hex, length: number): Uint8Array {
  if (!/^0x[0-9a-f]*$/i.test(hex) || hex.length !== 2 + 2 * length) throw new RangeError(`${hex} is not ${length} bytes`);
  return hexToBytes(hex);
}

function push(bytes: Uint8Array): Uint8Array {
  return joined(Uint8Array.of(bytes.length), bytes);
}

/** The minimal push of a number above 0: up to 16 have opcodes of their own, else little endian, the top bit is the sign. */
function pushedNumber(number: number): Uint8Array {
  if (number <= 16) return Uint8Array.of(0x50 + number);
  const [low, high] = [number & 0xff, number >> 8];
  if (number <= 0x7f) return push(Uint8Array.of(low));
  return push(number <= 0x7fff ? Uint8Array.of(low, high) : Uint8Array.of(low, high, 0));
}
