// Receipts: what the chain had made final about a deposit, a withdrawal or the reserves, in one file that anybody can check without a node (docs/evidence.md).
// The same as sidechain/light/src/receipt.rs, but for the hash of the genesis block, which only an EVM computes: the certificate names the network in its stead, and
// views/evidence.ts compares the hash with the parent of the first block, where a node shows that.
import { type Hex, decodeAbiParameters, hexToBytes, isHex, keccak256 } from "viem";
import { type FinalHeader, type Finality, verifyFinality } from "./certificate.ts";
import { type Books, type Deposit, type Withdrawal, isInBestChain, readOutpoint, reversed } from "./entries.ts";
import { type Facts, type Wanted, questions, readFacts } from "./facts.ts";
import { NotProven, require } from "./failure.ts";
import type { Genesis } from "./genesis.ts";
import { type InclusionProof, blockHash, verifyInclusion } from "./inclusion.ts";
import { type Sums, type VaultOutput, sumsOf, txids, vaultOutputs } from "./reserves.ts";
import { word } from "./storage.ts";
import { type Output, readTransaction, transactionBytes } from "./transaction.ts";
import type { AccountAnswer } from "./trie.ts";

/** The form of receipts that this reads. */
const VERSION = 2;
/** Of a receipt of the reserves of a network with thousands of vault transactions. */
const MOST_CHARACTERS = 64_000_000;

interface Payment {
  transaction: Hex;
  inclusion: InclusionProof;
  branches: number[];
}

type About =
  | { kind: "deposit"; outpoint: string; payment: Payment }
  | { kind: "withdrawal"; id: number; number: number; content: Hex; payment: Payment }
  | { kind: "reserves"; transactions: Hex[]; epochs: number[] };

interface Receipt {
  version: number;
  genesis: Hex;
  finality: Finality;
  about: About;
  proofs: AccountAnswer[];
}

/** An output of a transaction that a block of Bitcoin holds. */
export interface Paid {
  txid: string;
  vout: number;
  output: Output;
  block: string;
  height: number;
}

/** `genesis`: the hash of the genesis block that it names, which whoever can compares. */
export type Shown = { header: FinalHeader; genesis: Hex } & (
  | { kind: "deposit"; outpoint: string; deposit: Deposit; paid: Paid }
  | { kind: "withdrawal"; id: number; withdrawal: Withdrawal; number: number; paid: Paid }
  | { kind: "reserves"; supplyWei: bigint; books: Books; sums: Sums; outputs: VaultOutput[] }
);

/** What a receipt shows. Throws `NotProven` where it shows nothing. */
export function verifyReceipt(text: string, genesis: Genesis): Shown {
  require(text.length <= MOST_CHARACTERS, "this file is too large to be a receipt");
  const receipt = parse(text);
  try {
    return check(receipt, genesis);
  } catch (error) {
    if (error instanceof NotProven) throw error;
    // Parts of other kinds than a receipt's.
    throw new NotProven("this is no receipt, or it is damaged", { cause: error });
  }
}

function check(receipt: Receipt, genesis: Genesis): Shown {
  require(receipt.version === VERSION, `it has the form ${receipt.version}, this page reads ${VERSION}`);
  const header = verifyFinality(receipt.finality, genesis);
  const { about } = receipt;
  const wanted = wantedBy(about);
  requireNames(receipt, header, wanted);
  const facts = readFacts(header, wanted, receipt.proofs);
  switch (about.kind) {
    case "deposit":
      return { header, genesis: receipt.genesis, ...deposit(facts, about.outpoint, about.payment) };
    case "withdrawal":
      return { header, genesis: receipt.genesis, ...withdrawal(facts, about) };
    case "reserves": {
      const outputs = vaultOutputs(facts, about.transactions.map(transactionBytes));
      return { header, genesis: receipt.genesis, kind: "reserves", supplyWei: facts.supplyWei, books: facts.books, sums: sumsOf(facts.supplyWei, facts.books), outputs };
    }
  }
}

function parse(text: string): Receipt {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NotProven("this is no receipt: it is not JSON", { cause: error });
  }
  require(hasOnly(value, ["version", "genesis", "finality", "about", "proofs"]), "this is no receipt, or one with further fields");
  const receipt = value as unknown as Receipt;
  const fields = { deposit: ["outpoint", "payment"], withdrawal: ["id", "number", "content", "payment"], reserves: ["transactions", "epochs"] }[receipt.about?.kind];
  require(fields !== undefined && hasOnly(receipt.about, ["kind", ...fields]), "this is no receipt of a deposit, a withdrawal or the reserves");
  require(isHex(receipt.genesis) && Array.isArray(receipt.proofs), "this is no receipt");
  const further = "this is no receipt, or one with further fields";
  require(hasOnly(receipt.finality, ["number", "hash", "header", "certificate", "certified", "descendants"]) && hasOnly(receipt.finality.certified, ["number", "hash"]), further);
  if (receipt.about.kind !== "reserves") {
    const { payment } = receipt.about;
    require(hasOnly(payment, ["transaction", "inclusion", "branches"]) && hasOnly(payment.inclusion, ["header", "index", "siblings", "leftmost"]), further);
    require(hasOnly(payment.inclusion.header, ["version", "prev_blockhash", "merkle_root", "time", "bits", "nonce"]), further);
  }
  for (const proof of receipt.proofs) {
    require(hasOnly(proof, ["address", "balance", "codeHash", "nonce", "storageHash", "accountProof", "storageProof"]) && Array.isArray(proof.storageProof), further);
    require(proof.storageProof.every((slot) => hasOnly(slot, ["key", "value", "proof"])), further);
  }
  return receipt;
}

function hasOnly(value: unknown, fields: readonly string[]): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.keys(value).length === fields.length && fields.every((field) => Object.hasOwn(value, field));
}

function wantedBy(about: About): Wanted {
  switch (about.kind) {
    case "deposit":
      return { deposits: [readOutpoint(about.outpoint)], blocks: [blockHash(about.payment.inclusion)], branches: about.payment.branches };
    case "withdrawal":
      return { withdrawals: [about.id], vault: [readTransaction(transactionBytes(about.payment.transaction)).txid], blocks: [blockHash(about.payment.inclusion)], branches: about.payment.branches };
    case "reserves":
      return { vault: txids(about.transactions.map(transactionBytes)), epochs: about.epochs };
  }
}

/** What it says of itself beside what is signed and proven: nothing in a receipt can be another. */
function requireNames({ finality, proofs }: Receipt, header: FinalHeader, wanted: Wanted): void {
  const { number, hash, certified, descendants } = finality;
  const last = descendants.length ? keccak256(descendants[descendants.length - 1] as Hex) : header.hash;
  require(number === header.number && hash === header.hash, `it calls block ${number} final, and shows another`);
  require(certified.number === number + descendants.length && certified.hash === last, `it calls block ${certified.number} certified, and shows another`);
  questions(wanted).forEach(({ account, slots }, at) => {
    const answer = proofs[at];
    const isIt = answer?.address === account && answer.storageProof.length === slots.length && slots.every((slot, place) => answer.storageProof[place]?.key === word(slot));
    require(isIt, `it calls a proof one of ${answer?.address}, and shows another account or other slots`);
  });
}

function deposit(facts: Facts, outpoint: string, payment: Payment): { kind: "deposit"; outpoint: string; deposit: Deposit; paid: Paid } {
  const { txid, vout } = readOutpoint(outpoint);
  const found = facts.deposits.get(`${txid}:${vout}`);
  require(found !== undefined, "the ledger has no such deposit");
  const paid = output(facts, payment, txid, vout);
  requireBlock(paid, found);
  require(paid.output.amountSat === found.amountSat, `output ${vout} is of ${paid.output.amountSat} sat, the ledger has ${found.amountSat} sat`);
  return { kind: "deposit", outpoint, deposit: found, paid };
}

export const CONTENT = [
  {
    type: "tuple",
    components: [
      { name: "epoch", type: "uint32" },
      { name: "rate", type: "uint64" },
      { name: "reserveSat", type: "uint64" },
      { name: "deposits", type: "tuple[]", components: [{ name: "txid", type: "bytes32" }, { name: "vout", type: "uint32" }] },
      { name: "outputs", type: "uint32[]" },
      { name: "withdrawals", type: "uint64[]" },
    ],
  },
] as const;

function withdrawal(facts: Facts, { id, number, content, payment }: About & { kind: "withdrawal" }): { kind: "withdrawal"; id: number; withdrawal: Withdrawal; number: number; paid: Paid } {
  const found = facts.withdrawals.get(id);
  require(found !== undefined, "the ledger has no such withdrawal");
  const txid = readTransaction(transactionBytes(payment.transaction)).txid;
  const vault = facts.vault.get(txid);
  require(vault?.number === number, "the ledger has no such vault transaction");
  require(found.paidBy === number && vault.isSettled, `withdrawal ${id} is not paid by vault transaction ${number} in the ledger`);
  require(keccak256(content) === vault.content, "what is shown as the vault transaction's content is not what was bound");
  const place = decodeAbiParameters(CONTENT, hexToBytes(content))[0].withdrawals.indexOf(BigInt(id));
  require(place >= 0, `withdrawal ${id} is not paid by vault transaction ${number}`);
  const vout = place + (vault.changeSat === 0n ? 0 : 1);
  const paid = output(facts, payment, txid, vout);
  requireBlock(paid, vault);
  const least = found.amountSat - found.maxFeeSat;
  const isPaid = paid.output.amountSat >= least && paid.output.amountSat <= found.amountSat && `0x${paid.output.script}` === found.script;
  require(isPaid, `output ${vout} of the transaction shown is not what the withdrawal is owed`);
  return { kind: "withdrawal", id, withdrawal: found, number, paid };
}

/** An output of the payment, which a block holds that is in the best chain of the ledger's light client. */
function output(facts: Facts, payment: Payment, txid: string, vout: number): Paid {
  const { transaction, block } = verifyInclusion(payment.inclusion, transactionBytes(payment.transaction));
  require(transaction.txid === txid, `the transaction shown is ${transaction.txid}, not ${txid}`);
  const known = facts.blocks.get(block);
  require(known !== undefined, `the ledger's light client does not know block ${block}`);
  require(facts.best !== undefined, "which chain is the best is not shown");
  require(isInBestChain(known, facts.best, facts.branches), `block ${block} is in no chain that the ledger's light client follows: it left the best chain`);
  const paid = transaction.outputs[vout];
  require(paid !== undefined, `the transaction shown has no output ${vout}`);
  return { txid, vout, output: paid, block, height: known.height };
}

/** The ledger keeps the height and the first bytes of a block's hash; the light client has shown that it knows the whole of it. */
function requireBlock({ block, height }: Paid, want: { height: number; blockHead: bigint }): void {
  const head = BigInt(reversed(block)) >> 192n;
  require(height === want.height && head === want.blockHead, `the block ${block} is not the one in which the ledger has it, at height ${want.height}`);
}
