// Both sides of the books, and the vault outputs behind them, by proofs. The same as sidechain/light/src/reserves.rs.
//
//   coins outside the Bridge + unclaimed + owed + reserve + unminted = vault + unswept + lost
//                                                                      '--> live outputs of vault transactions
import { WEI_PER_SAT } from "../amount.ts";
import { type Books, type VaultTransaction, isLive } from "./entries.ts";
import type { Facts } from "./facts.ts";
import { require } from "./failure.ts";
import { readTransaction } from "./transaction.ts";

/** The two sides of the books, in wei: gas is paid in parts of a satoshi. */
export interface Sums {
  /** Everything that is owed, or outside the Bridge, is accounted for by the books. */
  isBalanced: boolean;
  /** And all of it is in the vault. */
  isCovered: boolean;
  /** Backed beyond what anybody can claim: coins that somebody gave away. */
  surplusWei: bigint;
  /** Lost, unswept and overdrawn. */
  missingSat: bigint;
}

export function sumsOf(supplyWei: bigint, books: Books): Sums {
  const wei = (...parts: bigint[]) => parts.reduce((sum, part) => sum + part * WEI_PER_SAT, 0n);
  const overdraft = books.reserveSat < 0n ? -books.reserveSat : 0n;
  const reserve = books.reserveSat > 0n ? books.reserveSat : 0n;
  const claims = supplyWei + wei(books.unclaimedSat, books.owedSat, books.unmintedSat, reserve);
  const backing = wei(books.vaultSat, books.unsweptSat, books.lostSat, overdraft);
  return {
    isBalanced: claims <= backing,
    isCovered: claims <= wei(books.vaultSat),
    surplusWei: claims < backing ? backing - claims : 0n,
    missingSat: books.unsweptSat + books.lostSat + overdraft,
  };
}

/** A live vault output: what the vault is. */
export interface VaultOutput {
  number: number;
  txid: string;
  amountSat: bigint;
  epoch: number;
}

/** The ids of transactions by their bytes. What is no transaction has none, and is refused by `vaultOutputs`. */
export function txids(transactions: readonly Uint8Array[]): string[] {
  return transactions.flatMap((bytes) => {
    try {
      return [readTransaction(bytes).txid];
    } catch {
      return [];
    }
  });
}

/** The live outputs of all vault transactions that were ever bound, from the bytes of all of them in their order: none is left out, and none is invented. Throws `NotProven`. */
export function vaultOutputs(facts: Facts, transactions: readonly Uint8Array[]): VaultOutput[] {
  require(transactions.length === facts.vaultCount, `${transactions.length} vault transactions are shown, the ledger has ${facts.vaultCount}`);
  const all = transactions.map((bytes, at) => shownAs(facts, at + 1, bytes));
  const live = all.filter(isLive).map(({ number, txid, changeSat, epoch }) => ({ number, txid, amountSat: changeSat, epoch }));
  const together = live.reduce((sum, { amountSat }) => sum + amountSat, 0n);
  require(together === facts.books.vaultSat, `the live outputs are worth ${together} sat, the books count ${facts.books.vaultSat} sat: the ledger is broken`);
  return live;
}

function shownAs(facts: Facts, number: number, bytes: Uint8Array): VaultTransaction {
  const { txid, outputs } = readTransaction(bytes);
  const entry = facts.vault.get(txid);
  require(entry?.number === number, `what is shown as vault transaction ${number} has the id ${txid}, under which the ledger has no such one`);
  if (entry.changeSat !== 0n) {
    const keys = facts.keys.get(entry.epoch);
    require(keys !== undefined, `the vault's key of epoch ${entry.epoch} is not proven, which vault transaction ${number} pays`);
    const [change] = outputs;
    // A taproot output (BIP 341).
    require(change?.amountSat === entry.changeSat && change.script === `5120${keys.vault.slice(2)}`, `output 0 of vault transaction ${number} does not pay the vault what the ledger says`);
  }
  return entry;
}
