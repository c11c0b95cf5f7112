// A user's record of a deposit address: what it commits to, and the key that takes an unswept deposit back, encrypted. `causeway reclaim` and
// `causeway status` read the same file, `deposits/ADDRESS.json` in their --home (bridge/cli/src/user/deposit_record.rs).
//
// It is saved before the address is shown: whoever pays can then always take the money back, with a bitcoind alone.
import { schnorr } from "@noble/curves/secp256k1.js";
import type { Hex } from "viem";
import type { BitcoinNetwork, Info } from "../peg/answers.ts";
import { digitsOf } from "./bytes.ts";
import { NO_DATA, type Terms, depositAddress, point } from "./deposit.ts";
import { DEFAULT_KDF, type Keystore, KeystoreError, type KdfParams, type Progress, open, readKeystore, seal } from "./keystore.ts";

export interface DepositRecord {
  /** The Bitcoin address that is paid. */
  address: string;
  network: BitcoinNetwork;
  networkId: Hex;
  bridge: Hex;
  recipient: Hex;
  claimant: Hex;
  /** x-only. */
  reclaimKey: Hex;
  /** Its secret, encrypted; null where the key is elsewhere: in the wallet of `causeway`, or the user's own. */
  reclaimKeystore: Keystore | null;
  /** Which of that wallet's keys it is. */
  reclaimIndex?: number;
  maxFeeSat: bigint;
  dataHash: Hex;
  epoch: number;
  /** The federation's of that epoch; x-only. */
  groupKey: Hex;
  reclaimDelay: number;
}

/** A file that is no record, or not one that may be used; the message is for people. */
export class RecordError extends Error {
  override name = "RecordError";
}

/** A key that takes an unswept deposit back. */
export interface ReclaimKey {
  /** x-only. */
  key: Hex;
  keystore: Keystore | null;
}

/** Who gets the coins, and who fetches them should the recipient's code refuse them. */
export interface Receiver {
  recipient: Hex;
  claimant: Hex;
}

const RECLAIM_KIND = "reclaim key";
const NETWORKS: readonly BitcoinNetwork[] = ["mainnet", "testnet4", "signet", "regtest"];
/** Characters of a record are some 1,500. */
const MOST_CHARACTERS = 20_000;
const MOST_DELAY = 0xffff;

/** A fresh reclaim key, its secret encrypted under a passphrase. */
export async function freshReclaimKey(passphrase: string, progress?: Progress, params: KdfParams = DEFAULT_KDF): Promise<ReclaimKey> {
  const secret = schnorr.utils.randomSecretKey();
  try {
    const digits = digitsOf(schnorr.getPublicKey(secret));
    return { key: `0x${digits}`, keystore: await seal(RECLAIM_KIND, { reclaimKey: digits }, secret, passphrase, params, progress) };
  } finally {
    secret.fill(0);
  }
}

/** The secret of a record's reclaim key; the caller wipes it. Throws `KeystoreError`. */
export async function openReclaimKey(record: DepositRecord, passphrase: string, progress?: Progress): Promise<Uint8Array> {
  const { reclaimKeystore, reclaimKey } = record;
  if (!reclaimKeystore) throw new KeystoreError("notAKeystore", "This record holds no key: it is in the wallet of causeway, or its owner keeps it elsewhere.");
  const secret = await open(reclaimKeystore, RECLAIM_KIND, passphrase, progress);
  if (publicKey(secret) === reclaimKey) return secret;
  secret.fill(0);
  throw new KeystoreError("corrupt", "The record holds another key than the one of its address, so it cannot take the deposit back. Take the record from a backup.");
}

/** `undefined`: it is no secret key. Not as the library says it: its errors are not ours to vouch for. */
function publicKey(secret: Uint8Array): Hex | undefined {
  try {
    return `0x${digitsOf(schnorr.getPublicKey(secret))}`;
  } catch {
    return undefined;
  }
}

/** A new address, computed here from the federation's key; what `peg_registerDeposit` answers must be the same. */
export function newRecord(info: Info, receiver: Receiver, maxFeeSat: bigint, reclaim: ReclaimKey, dataHash: Hex = NO_DATA): DepositRecord {
  if (info.groupKey === null) throw new RecordError(`The federation has no key yet: its ${info.members.length} members are making it. Try again in a moment.`);
  const parts: Omit<DepositRecord, "address"> = {
    network: info.bitcoinNetwork,
    networkId: lower(info.networkId),
    bridge: lower(info.contracts.bridge),
    recipient: lower(receiver.recipient),
    claimant: lower(receiver.claimant),
    reclaimKey: reclaim.key,
    reclaimKeystore: reclaim.keystore,
    maxFeeSat,
    dataHash,
    epoch: info.epoch,
    groupKey: lower(info.groupKey),
    reclaimDelay: info.parameters.reclaimDelay,
  };
  return { address: addressOf(parts), ...parts };
}

/** What `peg_registerDeposit` takes. */
export function registration({ recipient, claimant, reclaimKey, maxFeeSat, dataHash, epoch }: DepositRecord): Record<string, Hex | number> {
  return { recipient, claimant, reclaimKey, maxFeeSat: Number(maxFeeSat), dataHash, epoch };
}

/** The file's name, as `causeway` looks for it. */
export function recordFileName({ address }: DepositRecord): string {
  return `${address}.json`;
}

/** The file's text. */
export function recordText(record: DepositRecord): string {
  return `${JSON.stringify({ ...record, maxFeeSat: Number(record.maxFeeSat) }, null, 2)}\n`;
}

/** A record, whose parts make exactly the address that it is of: whatever is done with it is done to that address. Throws `RecordError`, `KeystoreError`. */
export function readRecord(text: string): DepositRecord {
  const value = parsed(text);
  if (!("claimant" in value) && "recipient" in value) {
    throw new RecordError("This record is of an address that an earlier version of causeway made, which commits to less. That version's “causeway reclaim” takes back what was paid to it; this page cannot use it.");
  }
  const { address, parts } = shaped(value);
  let made: string;
  try {
    made = addressOf(parts);
  } catch {
    throw new RecordError("This record is damaged: its parts make no address. Take it from a backup.");
  }
  if (made !== address) throw new RecordError(`This record is damaged: its parts make the address ${made}, and it names ${address.slice(0, 90)}. Take it from a backup, and pay neither.`);
  return { address, ...parts };
}

function addressOf(parts: Omit<DepositRecord, "address">): string {
  const { networkId, bridge, reclaimDelay, network, groupKey } = parts;
  const terms: Terms = parts;
  return depositAddress({ networkId, bridge, reclaimDelay }, terms, groupKey, network);
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = text.length <= MOST_CHARACTERS ? JSON.parse(text) : undefined;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // What is no JSON, and how it is none, is of no use to its reader.
  }
  throw new RecordError("This file is no record of a deposit. Its name is the deposit address, and it ends in .json.");
}

function shaped(value: Record<string, unknown>): { address: string; parts: Omit<DepositRecord, "address"> } {
  const unknown = Object.keys(value).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) throw new RecordError(`This record has the field “${unknown.slice(0, 40)}”, which this page does not know: it is from a newer version. Use that version's “causeway status” and “causeway reclaim”.`);
  const { address, network, reclaimIndex, reclaimKeystore } = value;
  if (typeof address !== "string" || !NETWORKS.includes(network as BitcoinNetwork)) throw incomplete(typeof address === "string" ? "network" : "address");
  const parts: Omit<DepositRecord, "address"> = {
    network: network as BitcoinNetwork,
    networkId: bytesField(value, "networkId", 32),
    bridge: bytesField(value, "bridge", 20),
    recipient: bytesField(value, "recipient", 20),
    claimant: bytesField(value, "claimant", 20),
    reclaimKey: bytesField(value, "reclaimKey", 32),
    reclaimKeystore: reclaimKeystore === null || reclaimKeystore === undefined ? null : readKeystore(reclaimKeystore),
    maxFeeSat: BigInt(numberField(value, "maxFeeSat", Number.MAX_SAFE_INTEGER)),
    dataHash: bytesField(value, "dataHash", 32),
    epoch: numberField(value, "epoch", 2 ** 32 - 1),
    groupKey: bytesField(value, "groupKey", 32),
    reclaimDelay: numberField(value, "reclaimDelay", MOST_DELAY),
  };
  if (reclaimIndex !== undefined && reclaimIndex !== null) parts.reclaimIndex = numberField(value, "reclaimIndex", 2 ** 32 - 1);
  return { address, parts };
}

const FIELDS = [
  ...["address", "network", "networkId", "bridge", "recipient", "claimant", "reclaimKey", "reclaimKeystore", "reclaimIndex"],
  ...["maxFeeSat", "dataHash", "epoch", "groupKey", "reclaimDelay"],
];

function bytesField(value: Record<string, unknown>, name: string, length: number): Hex {
  const field = value[name];
  if (typeof field !== "string" || !/^0x[0-9a-f]+$/i.test(field) || field.length !== 2 + 2 * length) throw incomplete(name);
  return lower(field);
}

function numberField(value: Record<string, unknown>, name: string, most: number): number {
  const field = value[name];
  if (typeof field !== "number" || !Number.isSafeInteger(field) || field < 0 || field > most) throw incomplete(name);
  return field;
}

function incomplete(name: string): RecordError {
  return new RecordError(`This record is damaged: “${name}” is missing, or is not what it has to be. Take it from a backup.`);
}

function lower(hex: string): Hex {
  return hex.toLowerCase() as Hex;
}

/** Whether a key of the user's own can be one: 64 hex digits, x-only. Throws where it is no point of the curve. */
export function ownReclaimKey(digits: string): ReclaimKey {
  const key = lower(digits.startsWith("0x") ? digits : `0x${digits}`);
  if (!/^0x[0-9a-f]{64}$/.test(key)) throw new RecordError("A public key to reclaim with has 64 hexadecimal digits (x-only).");
  point(key, "the key");
  return { key, keystore: null };
}
