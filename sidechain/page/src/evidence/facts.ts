// Facts of the ledger under one final header: which slots to ask for, and what the answers prove. The same as sidechain/light/src/facts.rs.
//
//   Wanted --questions--> eth_getProof, once for each contract --answers--> Facts
import type { Hex } from "viem";
import { WEI_PER_SAT } from "../amount.ts";
import type { FinalHeader } from "./certificate.ts";
import {
  BRIDGE,
  type Books,
  type Branch,
  DEPOSITS,
  type Deposit,
  FEDERATION,
  type FederationKeys,
  type KnownBlock,
  LIGHT_CLIENT,
  type Outpoint,
  VAULT,
  type VaultTransaction,
  type Withdrawal,
  bestSlot,
  blockSlot,
  booksSlots,
  branchSlot,
  depositSlots,
  keySlots,
  readBest,
  readBlock,
  readBooks,
  readBranch,
  readDeposit,
  readKeys,
  readVaultCount,
  readVaultTransaction,
  readWithdrawal,
  reversed,
  vaultCountSlot,
  vaultTransactionSlots,
  withdrawalSlots,
} from "./entries.ts";
import { require } from "./failure.ts";
import { bridge } from "./layout.ts";
import { type AccountAnswer, verifyAccount } from "./trie.ts";

/** Slots of one question at most; nodes answer no more (geth's limit). */
const MOST_SLOTS = 1024;
/** All coins there will ever be, in the Bridge at genesis (contracts/src/coin.rs). */
const GENESIS_COINS_WEI = 21_000_000n * 100_000_000n * WEI_PER_SAT;

/** What of the ledger is to be proven. The books, the coins and the number of vault transactions always are. */
export interface Wanted {
  withdrawals?: readonly number[];
  deposits?: readonly Outpoint[];
  /** Vault transactions, by txid. */
  vault?: readonly string[];
  /** Epochs of the federation whose keys are wanted. */
  epochs?: readonly number[];
  /** Blocks of Bitcoin that the ledger's light client is to know. */
  blocks?: readonly string[];
  /** Branches of that light client: with any, also which one ends its best chain. */
  branches?: readonly number[];
}

export interface Question {
  account: Hex;
  slots: bigint[];
}

export interface Facts {
  header: FinalHeader;
  /** Coins outside the Bridge. */
  supplyWei: bigint;
  books: Books;
  /** How many vault transactions were ever bound. */
  vaultCount: number;
  withdrawals: ReadonlyMap<number, Withdrawal | undefined>;
  /** By `txid:vout`. */
  deposits: ReadonlyMap<string, Deposit | undefined>;
  vault: ReadonlyMap<string, VaultTransaction | undefined>;
  keys: ReadonlyMap<number, FederationKeys>;
  blocks: ReadonlyMap<string, KnownBlock | undefined>;
  best: number | undefined;
  branches: ReadonlyMap<number, Branch>;
}

const ascending = (numbers: readonly number[] = []) => [...new Set(numbers)].sort((a, b) => a - b);
/** By their bytes as they are hashed, as Rust's sets have them. */
const byBytes = (hashes: readonly string[] = []) => [...new Set(hashes)].sort((a, b) => (reversed(a) < reversed(b) ? -1 : 1));
const outpoints = (list: readonly Outpoint[] = []) => [...list].sort((a, b) => (a.txid === b.txid ? a.vout - b.vout : reversed(a.txid) < reversed(b.txid) ? -1 : 1));

/** What to ask for, in the order in which `readFacts` wants the answers. */
export function questions(wanted: Wanted): Question[] {
  // Each contract's own lines: of the bridge also what bounds payouts, as receipts have it.
  const bridgeSlots = [...booksSlots, bridge.window, bridge.pause, ...ascending(wanted.withdrawals).flatMap(withdrawalSlots)];
  const vaultSlots = [vaultCountSlot, ...byBytes(wanted.vault).flatMap(vaultTransactionSlots)];
  const branches = ascending(wanted.branches);
  const lightClient = [...byBytes(wanted.blocks).map(blockSlot), ...(branches.length ? [bestSlot] : []), ...branches.map(branchSlot)];
  const parts: [Hex, bigint[]][] = [
    [BRIDGE, bridgeSlots],
    [VAULT, vaultSlots],
    [DEPOSITS, outpoints(wanted.deposits).flatMap(depositSlots)],
    [FEDERATION, ascending(wanted.epochs).flatMap(keySlots)],
    [LIGHT_CLIENT, lightClient],
  ];
  return parts.flatMap(([account, slots]) => pages(slots).map((page) => ({ account, slots: page })));
}

function pages(slots: bigint[]): bigint[][] {
  return Array.from({ length: Math.ceil(slots.length / MOST_SLOTS) }, (_, page) => slots.slice(page * MOST_SLOTS, (page + 1) * MOST_SLOTS));
}

/** Checks the answers to all questions, in their order. Throws `NotProven`. */
export function readFacts(header: FinalHeader, wanted: Wanted, answers: readonly AccountAnswer[]): Facts {
  const asked = questions(wanted);
  require(answers.length === asked.length, `${answers.length} accounts are proven, ${asked.length} were asked for`);
  const proven = new Map<Hex, { balance: bigint; slots: bigint[] }>();
  asked.forEach(({ account, slots }, at) => {
    const { balance, slots: values } = verifyAccount(answers[at] as AccountAnswer, header.stateRoot, account, slots);
    const known = proven.get(account);
    if (known) known.slots.push(...values);
    else proven.set(account, { balance, slots: values });
  });
  const reader = (account: Hex) => {
    const slots = proven.get(account)?.slots ?? [];
    let at = 0;
    return (count: number) => slots.slice(at, (at += count));
  };
  const one = (slots: bigint[]) => slots[0] as bigint;
  const [inBridge, inVault, inDeposits, inFederation, inLightClient] = [BRIDGE, VAULT, DEPOSITS, FEDERATION, LIGHT_CLIENT].map(reader) as [Next, Next, Next, Next, Next];
  const books = readBooks(inBridge(2));
  // What bounds payouts is proven with receipts, and not shown here.
  inBridge(2);
  const inReserve = proven.get(BRIDGE)?.balance ?? 0n;
  const branches = ascending(wanted.branches);
  return {
    header,
    // More than at genesis: coins were given to the Bridge by force. None are outside then.
    supplyWei: inReserve > GENESIS_COINS_WEI ? 0n : GENESIS_COINS_WEI - inReserve,
    books,
    vaultCount: readVaultCount(one(inVault(1))),
    withdrawals: new Map(ascending(wanted.withdrawals).map((id) => [id, readWithdrawal(inBridge(3))])),
    deposits: new Map(outpoints(wanted.deposits).map(({ txid, vout }) => [`${txid}:${vout}`, readDeposit(inDeposits(3))])),
    vault: new Map(byBytes(wanted.vault).map((txid) => [txid, readVaultTransaction(txid, inVault(2))])),
    keys: new Map(ascending(wanted.epochs).map((epoch) => [epoch, readKeys(inFederation(2))])),
    blocks: new Map(byBytes(wanted.blocks).map((hash) => [hash, readBlock(one(inLightClient(1)))])),
    best: branches.length ? readBest(one(inLightClient(1))) : undefined,
    branches: new Map(branches.map((number) => [number, readBranch(one(inLightClient(1)))])),
  };
}

type Next = (count: number) => bigint[];
