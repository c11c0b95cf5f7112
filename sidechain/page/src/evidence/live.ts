// What a node says now, checked by what it can prove: a header that the validators made final, and the ledger's entries under it.
import type { Hex } from "viem";
import { encodeAbiParameters, keccak256, toHex } from "viem";
import { duration } from "../draw/time.ts";
import { type Node, NodeError } from "../node.ts";
import type { Info, Vault, VaultTransaction as Told } from "../peg/answers.ts";
import { type Difference, differences, standingOf } from "./books.ts";
import { type FinalHeader, type Finality, verifyFinality } from "./certificate.ts";
import { BRIDGE, type Books, type FederationKeys, type Outpoint, type VaultTransaction, type Withdrawal, claimableSlot, isLive, readClaimable, readOutpoint, reversed } from "./entries.ts";
import { type Facts, type Wanted, questions, readFacts } from "./facts.ts";
import { NotProven, reasonOf, require } from "./failure.ts";
import type { Genesis } from "./genesis.ts";
import { CONTENT } from "./receipt.ts";
import { type Sums, type VaultOutput, sumsOf } from "./reserves.ts";
import { word } from "./storage.ts";
import { type Transaction, readTransaction, transactionBytes } from "./transaction.ts";
import { type AccountAnswer, verifyAccount, verifyPlainAccount } from "./trie.ts";

/** A header that is older says what was, not what is: commands and receipts have the same bound (docs/evidence.md). */
export const OLD_AFTER_S = 300;
/** The newest block may have no certificate yet. */
const NO_CERTIFICATE = -32001;
const TRIES = 10;
const PAUSE_MS = 300;
/** Vault outputs whose bytes are looked at. */
const MOST_OUTPUTS = 256;

/** The newest block that the node can show to be final; or the one of this number. */
export async function proveHead(node: Node, genesis: Genesis, number?: number): Promise<FinalHeader> {
  for (let left = TRIES; ; left--) {
    try {
      const header = verifiedOnce(await node.ask<Finality>("peg_getFinality", ...(number === undefined ? [] : [toHex(number)])), genesis);
      require(number === undefined || header.number === number, `the node shows block ${header.number} where block ${number} was asked for`);
      return header;
    } catch (error) {
      if (!(error instanceof NodeError && error.code === NO_CERTIFICATE) || left === 0) throw error;
      await new Promise((wake) => setTimeout(wake, PAUSE_MS));
    }
  }
}

/** The last header that was shown to be final, by the genesis file that says so: whoever asks every few seconds gets the same one while nothing happens. */
const lastVerified = new WeakMap<Genesis, { answer: string; header: FinalHeader }>();

/** A certificate takes a phone a tenth of a second, so the same one is checked once. */
function verifiedOnce({ header: raw, certificate, descendants }: Finality, genesis: Genesis): FinalHeader {
  const answer = JSON.stringify([raw, certificate, descendants]);
  const last = lastVerified.get(genesis);
  if (last?.answer === answer) return last.header;
  const header = verifyFinality({ header: raw, certificate, descendants }, genesis);
  lastVerified.set(genesis, { answer, header });
  return header;
}

/** Facts under a header that was proven. */
export async function proveFacts(node: Node, header: FinalHeader, wanted: Wanted): Promise<Facts> {
  const ask = ({ account, slots }: { account: Hex; slots: bigint[] }) => node.ask<AccountAnswer>("eth_getProof", account, slots.map(word), toHex(header.number));
  return readFacts(header, wanted, await Promise.all(questions(wanted).map(ask)));
}

/** The federation's keys of an epoch: what a deposit address is made of. `now`: an old header's keys may not be those that sign now. */
export async function proveKeys(node: Node, genesis: Genesis, epoch: number, now: number): Promise<{ header: FinalHeader; keys: FederationKeys }> {
  const header = await proveHead(node, genesis);
  const age = now - header.timestamp;
  require(age <= OLD_AFTER_S, `the newest block that the node can show to be final is ${duration(age)} old, or this device's clock is wrong: what the federation's key is now is not proven by it`);
  const keys = (await proveFacts(node, header, { epochs: [epoch] })).keys.get(epoch);
  require(keys !== undefined && BigInt(keys.group) !== 0n, `the federation has no key of epoch ${epoch} yet`);
  return { header, keys };
}

/** Of an account at a block. */
export interface ProvenAccount {
  header: FinalHeader;
  /** Wei. */
  balance: bigint;
  nonce: bigint;
  /** Of coins that wait in the bridge for it. */
  claimableSat: bigint;
}

/** What an account has, and what it can claim, at the newest block that the node can show to be final. Throws `NotProven`. */
export async function proveAccount(node: Node, genesis: Genesis, account: Hex): Promise<ProvenAccount> {
  const header = await proveHead(node, genesis);
  const slot = claimableSlot(account);
  const at = toHex(header.number);
  const [own, bridge] = await Promise.all([node.ask<AccountAnswer>("eth_getProof", account, [], at), node.ask<AccountAnswer>("eth_getProof", BRIDGE, [word(slot)], at)]);
  try {
    const { balance, nonce } = verifyPlainAccount(own, header.stateRoot, account);
    const [claimable = 0n] = verifyAccount(bridge, header.stateRoot, BRIDGE, [slot]).slots;
    return { header, balance, nonce, claimableSat: readClaimable(claimable) };
  } catch (error) {
    throw error instanceof NotProven ? error : new NotProven(reasonOf(error), { cause: error });
  }
}

/** A vault transaction as a node shows it: its number, and its bytes without witness. */
export type Shown = Pick<Told, "number" | "transaction">;

/** The same, as the ledger has it under its id, which is the hash of its bytes. */
export interface ProvenTransaction extends Transaction {
  entry: VaultTransaction;
}

export interface ProvenWithdrawal {
  header: FinalHeader;
  withdrawal: Withdrawal | undefined;
  /** By their numbers. */
  transactions: ReadonlyMap<number, ProvenTransaction>;
}

/** `shown`: what is said to pay it, or to hold it. */
export async function proveWithdrawal(node: Node, genesis: Genesis, id: number, shown: readonly Shown[] = []): Promise<ProvenWithdrawal> {
  const header = await proveHead(node, genesis);
  const { facts, transactions } = await proveShown(node, header, shown, { withdrawals: [id] });
  return { header, withdrawal: facts.withdrawals.get(id), transactions };
}

/** Vault transactions by their bytes. Throws `NotProven` where the ledger has one of them not, or under another number. */
export async function proveTransactions(node: Node, genesis: Genesis, shown: readonly Shown[]): Promise<{ header: FinalHeader; transactions: ReadonlyMap<number, ProvenTransaction> }> {
  const header = await proveHead(node, genesis);
  return { header, transactions: (await proveShown(node, header, shown)).transactions };
}

/** The hash that the ledger keeps of what a vault transaction was bound to do (`abi.encode(IVault.Content)`). */
export function contentHash({ epoch, rate, reserveSat, deposits, outputs, withdrawals }: Told["content"]): Hex {
  const spent = deposits.map((outpoint) => readOutpoint(outpoint)).map(({ txid, vout }) => ({ txid: reversed(txid), vout }));
  return keccak256(encodeAbiParameters(CONTENT, [{ epoch, rate: BigInt(rate), reserveSat: BigInt(reserveSat), deposits: spent, outputs, withdrawals: withdrawals.map(BigInt) }]));
}

async function proveShown(node: Node, header: FinalHeader, shown: readonly Shown[], wanted: Wanted = {}): Promise<{ facts: Facts; transactions: Map<number, ProvenTransaction> }> {
  const read = shown.map(({ number, transaction }) => ({ number, transaction: readTransaction(transactionBytes(transaction)) }));
  const facts = await proveFacts(node, header, { ...wanted, vault: read.map(({ transaction }) => transaction.txid) });
  const transactions = new Map<number, ProvenTransaction>();
  for (const { number, transaction } of read) {
    const entry = facts.vault.get(transaction.txid);
    require(entry?.number === number, `what is shown as vault transaction ${number} has the id ${transaction.txid}, under which the ledger has no such one`);
    transactions.set(number, { ...transaction, entry });
  }
  return { facts, transactions };
}

/** By their outpoints, as `txid:vout`. */
export async function proveDeposits(node: Node, genesis: Genesis, outpoints: readonly Outpoint[]): Promise<{ header: FinalHeader; deposits: Facts["deposits"] }> {
  const header = await proveHead(node, genesis);
  return { header, deposits: (await proveFacts(node, header, { deposits: outpoints })).deposits };
}

export type Step = "certificate" | "books" | "outputs" | "scripts";

export interface Reserves {
  header: FinalHeader;
  supplyWei: bigint;
  books: Books;
  sums: Sums;
  /** Live vault outputs, which together are what the books count; their scripts are the vault's. */
  outputs: VaultOutput[];
}

/** All reserves at the newest block or the one of this number, each step told when it is done. The node names the outputs; that none is left out or invented, the proven books say. Throws `NotProven`. */
export async function proveReserves(node: Node, genesis: Genesis, told: (done: Step, words: string) => void, number?: number): Promise<Reserves> {
  const header = await proveHead(node, genesis, number);
  told("certificate", `${header.signers} of ${header.validators} validators signed block ${header.number}`);
  const vault = await node.ask<Vault>("peg_getVault");
  const named = vault.outputs.slice(0, MOST_OUTPUTS);
  const epochs = named.map(({ epoch }) => epoch);
  const facts = await proveFacts(node, header, { vault: named.map(({ txid }) => txid), epochs });
  const { books, supplyWei } = facts;
  const sums = sumsOf(supplyWei, books);
  told("books", `the books and the coins are in the state of block ${header.number}`);

  const outputs: VaultOutput[] = [];
  for (const { txid } of named) {
    const entry = facts.vault.get(txid);
    // It may have been made after the header.
    if (entry && isLive(entry)) outputs.push({ number: entry.number, txid, amountSat: entry.changeSat, epoch: entry.epoch });
  }
  const together = outputs.reduce((sum, { amountSat }) => sum + amountSat, 0n);
  require(together === books.vaultSat, `the vault outputs that the node names are worth ${together} sat, the books count ${books.vaultSat} sat: one was spent just now, or the node leaves some out`);
  told("outputs", `${outputs.length} vault outputs are worth what the books count, to the satoshi`);

  const shown = await Promise.all(outputs.map(({ number }) => node.ask<Told | null>("peg_getVaultTransaction", number)));
  outputs.forEach(({ txid, amountSat, epoch }, at) => {
    const transaction = readTransaction(transactionBytes(shown[at]?.transaction ?? ""));
    const [change] = transaction.outputs;
    const key = facts.keys.get(epoch)?.vault.slice(2);
    require(transaction.txid === txid && change?.amountSat === amountSat && change.script === `5120${key}`, `output 0 of ${txid} does not pay the vault what the ledger says`);
  });
  told("scripts", `each of them pays the federation's key, by the bytes of its Bitcoin transaction`);
  return { header, supplyWei, books, sums, outputs };
}

/** The reserves at the very block of which the node told its books, and where these are others than its state has. Throws `NotProven`. */
export async function proveTold(node: Node, genesis: Genesis, { head, books }: Pick<Info, "head" | "books">): Promise<{ reserves: Reserves; differ: Difference[] }> {
  const reserves = await proveReserves(node, genesis, () => undefined, head.number);
  require(reserves.header.hash === head.hash, `the node says that block ${head.number} is ${head.hash}, and the validators signed ${reserves.header.hash}`);
  require(reserves.header.timestamp === head.timestamp, `the node says that block ${head.number} is of ${head.timestamp} s, and it is of ${reserves.header.timestamp} s`);
  return { reserves, differ: differences(books, standingOf(reserves)) };
}
