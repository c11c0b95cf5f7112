// Entries of the ledger by proofs of its storage. The same as sidechain/light/src/ledger.rs and federation.rs.
import { type Hex, concat, keccak256 } from "viem";
import { bytesOf, digitsOf, joined, numberBytes } from "../bitcoin/bytes.ts";
import { scriptOf } from "../bitcoin/script.ts";
import type { DepositStatus } from "../peg/answers.ts";
import { require } from "./failure.ts";
import { bitcoinLightClient, bridge, deposits, federation, vault } from "./layout.ts";
import { addressOf, entry, fieldOf, numbered, numberOf, referenceOf, slotsFrom, valueOf, word, wordOf } from "./storage.ts";

/** Where genesis puts the contracts (contracts/src/address.rs). */
export const BRIDGE: Hex = "0xca05000000000000000000000000000000000004";
export const VAULT: Hex = "0xca05000000000000000000000000000000000006";
export const DEPOSITS: Hex = "0xca05000000000000000000000000000000000007";
export const FEDERATION: Hex = "0xca05000000000000000000000000000000000002";
export const LIGHT_CLIENT: Hex = "0xca05000000000000000000000000000000000001";

/** A hash of Bitcoin as it is shown, and as it is hashed: the other way round. */
export function reversed(hash: string): Hex {
  const bytes = bytesOf(hash.replace(/^0x/, ""));
  require(bytes?.length === 32, `${hash} is no hash of Bitcoin`);
  return `0x${digitsOf(bytes.reverse())}`;
}

// ---------------------------------------------------------------- books

export interface Books {
  vaultSat: bigint;
  owedSat: bigint;
  unmintedSat: bigint;
  unsweptSat: bigint;
  lostSat: bigint;
  reserveSat: bigint;
  unclaimedSat: bigint;
  coveredSat: bigint;
}

export const booksSlots = slotsFrom(bridge.books, 2);

export function readBooks(slots: readonly bigint[]): Books {
  const { Books } = bridge;
  const of = (field: (typeof Books)[keyof typeof Books]) => fieldOf(slots, field);
  return {
    vaultSat: of(Books.vault),
    owedSat: of(Books.owed),
    unmintedSat: of(Books.unminted),
    unsweptSat: of(Books.unswept),
    lostSat: of(Books.lost),
    reserveSat: BigInt.asIntN(64, of(Books.reserve)),
    unclaimedSat: of(Books.unclaimed),
    coveredSat: of(Books.covered),
  };
}

// ---------------------------------------------------------------- withdrawals

export interface Withdrawal {
  owner: Hex;
  amountSat: bigint;
  maxFeeSat: bigint;
  askedAt: number;
  /** The vault output it was tied to last; that may have ended. */
  tie: number | undefined;
  paidBy: number | undefined;
  givenBack: "cancelled" | "refunded" | undefined;
  script: Hex;
}

export const withdrawalSlots = (id: number): bigint[] => slotsFrom(numbered(bridge.records, id), 3);

export function readWithdrawal(slots: readonly bigint[]): Withdrawal | undefined {
  const { Record } = bridge;
  const owner = fieldOf(slots, Record.owner);
  if (owner === 0n) return undefined;
  const closed = numberOf(slots, Record.closed);
  require(closed === 0 || closed === 4 || closed === 5, `a withdrawal was closed for reason ${closed}, which is not known here`);
  return {
    owner: addressOf(slots, Record.owner),
    amountSat: fieldOf(slots, Record.amountSat),
    maxFeeSat: fieldOf(slots, Record.maxFeeSat),
    askedAt: numberOf(slots, Record.askedAt),
    tie: referenceOf(slots, Record.tie),
    paidBy: referenceOf(slots, Record.paidBy),
    givenBack: closed === 4 ? "cancelled" : closed === 5 ? "refunded" : undefined,
    script: readScript(slots),
  };
}

/** Kinds of scripts as the ledger keeps them, in two words; of witness programs the version is added (contracts/src/bridge/OutputScript.sol). */
const KEY_HASH = 1;
const SCRIPT_HASH = 2;
const WITNESS = 3;

function readScript(slots: readonly bigint[]): Hex {
  const { Record } = bridge;
  const kind = numberOf(slots, Record.kind);
  const length = numberOf(slots, Record.length);
  const program = joined(numberBytes(fieldOf(slots, Record.program), 32), numberBytes(fieldOf(slots, Record.tail), 8)).slice(0, length);
  const version = kind - WITNESS;
  const isScript = kind === KEY_HASH || kind === SCRIPT_HASH ? length === 20 : version >= 0 && version <= 16 && length >= 2 && length <= 40;
  require(isScript, `an output script of kind ${kind} with ${length} bytes, which the ledger never writes`);
  const template = kind === KEY_HASH ? "keyHash" : kind === SCRIPT_HASH ? "scriptHash" : "witness";
  return `0x${digitsOf(scriptOf({ kind: template, version: Math.max(version, 0), bytes: program }))}`;
}

/** Where the satoshis are that wait for an account to claim them. */
export const claimableSlot = (account: Hex): bigint => entry(bridge.claimable, word(BigInt(account)));
/** 8 bytes of it. */
export const readClaimable = (slot: bigint): bigint => BigInt.asUintN(64, slot);

// ---------------------------------------------------------------- deposits

export interface Deposit {
  recipient: Hex;
  claimant: Hex;
  amountSat: bigint;
  maxFeeSat: bigint;
  mintedSat: bigint | undefined;
  sweptBy: number | undefined;
  status: DepositStatus;
  height: number;
  /** First 8 bytes of the hash of the block that holds its funding, as it is hashed. */
  blockHead: bigint;
  epoch: number;
}

const MINTED = 2;
const GONE = 4;

export interface Outpoint {
  /** As it is shown. */
  txid: string;
  vout: number;
}

export function readOutpoint(text: string): Outpoint {
  const match = /^([0-9a-f]{64}):(0|[1-9]\d{0,9})$/i.exec(text);
  require(match !== null && Number(match[2]) < 2 ** 32, `${text} is no output of a Bitcoin transaction`);
  return { txid: (match[1] as string).toLowerCase(), vout: Number(match[2]) };
}

export const depositSlots = ({ txid, vout }: Outpoint): bigint[] => slotsFrom(entry(deposits.records, keccak256(concat([reversed(txid), word(BigInt(vout))]))), 3);

export function readDeposit(slots: readonly bigint[]): Deposit | undefined {
  const { Record } = deposits;
  if (fieldOf(slots, Record.recipient) === 0n) return undefined;
  const flags = numberOf(slots, Record.flags);
  const sweptBy = referenceOf(slots, Record.sweptBy);
  return {
    recipient: addressOf(slots, Record.recipient),
    claimant: addressOf(slots, Record.claimant),
    amountSat: fieldOf(slots, Record.amountSat),
    maxFeeSat: fieldOf(slots, Record.maxFeeSat),
    mintedSat: flags & MINTED ? fieldOf(slots, Record.mintedSat) : undefined,
    sweptBy,
    status: flags & GONE ? "gone" : flags & MINTED ? "minted" : sweptBy !== undefined ? "swept" : "proven",
    height: numberOf(slots, Record.height),
    blockHead: fieldOf(slots, Record.blockHead),
    epoch: numberOf(slots, Record.epoch),
  };
}

// ---------------------------------------------------------------- vault transactions

export interface VaultTransaction {
  number: number;
  txid: string;
  /** Hash of its content. */
  content: Hex;
  /** Of output 0, which pays the vault; 0: there is no such output. */
  changeSat: bigint;
  spentBy: number | undefined;
  isSettled: boolean;
  isGone: boolean;
  isVoid: boolean;
  height: number;
  blockHead: bigint;
  epoch: number;
}

const OUTPUT_SETTLED = 1;
const OUTPUT_GONE = 2;
const OUTPUT_VOID = 4;

export const vaultCountSlot = BigInt(vault.vaultTransactionCount.slot);
export const readVaultCount = (slot: bigint): number => Number(valueOf(vault.vaultTransactionCount, slot));
export const vaultTransactionSlots = (txid: string): bigint[] => slotsFrom(entry(vault.outputs, reversed(txid)), 2);

export function readVaultTransaction(txid: string, slots: readonly bigint[]): VaultTransaction | undefined {
  const { Output } = vault;
  const number = referenceOf(slots, Output.number);
  if (number === undefined) return undefined;
  const flags = numberOf(slots, Output.flags);
  return {
    number,
    txid,
    content: wordOf(slots, Output.content),
    changeSat: fieldOf(slots, Output.changeSat),
    spentBy: referenceOf(slots, Output.spentBy),
    isSettled: (flags & OUTPUT_SETTLED) !== 0,
    isGone: (flags & OUTPUT_GONE) !== 0,
    isVoid: (flags & OUTPUT_VOID) !== 0,
    height: numberOf(slots, Output.height),
    blockHead: fieldOf(slots, Output.blockHead),
    epoch: numberOf(slots, Output.epoch),
  };
}

/** Whether the books count output 0: settled, and unspent as far as the ledger knows. */
export function isLive({ changeSat, isSettled, spentBy, isGone, isVoid }: VaultTransaction): boolean {
  return changeSat !== 0n && isSettled && spentBy === undefined && !isGone && !isVoid;
}

// ---------------------------------------------------------------- federation

export interface FederationKeys {
  /** x-only; zero until every member has confirmed it. */
  group: Hex;
  /** The vault's taproot output key. */
  vault: Hex;
}

export const keySlots = (epoch: number): bigint[] => slotsFrom(numbered(federation.keys, epoch), 2);
export const readKeys = (slots: readonly bigint[]): FederationKeys => ({ group: wordOf(slots, federation.Keys.group), vault: wordOf(slots, federation.Keys.vault) });

// ---------------------------------------------------------------- Bitcoin's blocks, as the ledger's light client has them

export interface KnownBlock {
  height: number;
  branch: number;
}

export interface Branch {
  parent: number;
  jump: number;
  first: number;
}

export const blockSlot = (hash: string): bigint => entry(bitcoinLightClient.headers, reversed(hash));
export const bestSlot = BigInt(bitcoinLightClient.best.slot);
export const branchSlot = (number: number): bigint => BigInt.asUintN(256, BigInt(keccak256(word(bitcoinLightClient.branches))) + BigInt(number));
export const readBest = (slot: bigint): number => Number(valueOf(bitcoinLightClient.best, slot));

export function readBlock(slot: bigint): KnownBlock | undefined {
  const { Stored } = bitcoinLightClient;
  // Each header has a target.
  return numberOf([slot], Stored.bits) ? { height: numberOf([slot], Stored.height), branch: numberOf([slot], Stored.branch) } : undefined;
}

export function readBranch(slot: bigint): Branch {
  const { Branch } = bitcoinLightClient;
  return { parent: numberOf([slot], Branch.parent), jump: numberOf([slot], Branch.jump), first: numberOf([slot], Branch.first) };
}

/** Whether a block is in the best chain: from that one's end down, to the branch that holds its height (`BitcoinLightClient._isBest`). Throws where a branch is not shown. */
export function isInBestChain(block: KnownBlock, best: number, branches: ReadonlyMap<number, Branch>): boolean {
  for (let at = best; ; ) {
    const branch = branches.get(at);
    require(branch !== undefined, `whether a Bitcoin block is in the best chain is not shown without branch ${at}`);
    if (branch.first <= block.height) return at === block.branch;
    const jump = branches.get(branch.jump);
    require(jump !== undefined, `whether a Bitcoin block is in the best chain is not shown without branch ${branch.jump}`);
    const next = jump.first > block.height ? branch.jump : branch.parent;
    // A branch grows from one that was there before.
    if (next >= at) return false;
    at = next;
  }
}
