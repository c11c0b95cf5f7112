// That a block of Bitcoin holds a transaction: a branch of its tree, without the tree's ambiguities (ADR 24). The same as mainchain/src/proof.rs.
import { joined, numberBytes } from "../bitcoin/bytes.ts";
import { reversed } from "./entries.ts";
import { require } from "./failure.ts";
import { doubleHash, readTransaction, shown, type Transaction } from "./transaction.ts";
import { hexToBytes, type Hex } from "viem";

/** Of the deepest tree of a block: 1,000,000 bytes without witness hold at most 16,666 transactions of 60 bytes. */
const MOST_LEVELS = 15;
/** Bytes of both scripts of a transaction of 64 bytes. */
const SCRIPT_BYTES = 4;

/** As receipts have it. */
export interface InclusionProof {
  header: { version: number; prev_blockhash: string; merkle_root: string; time: number; bits: number; nonce: number };
  index: number;
  siblings: number[][];
  leftmost: number[][];
}

export interface Included {
  transaction: Transaction;
  /** As it is shown. */
  block: string;
}

export function blockHash({ header }: InclusionProof): string {
  const little = (value: number) => numberBytes(BigInt.asUintN(32, BigInt(value)), 4).reverse();
  const { version, prev_blockhash, merkle_root, time, bits, nonce } = header;
  const hash = (text: string) => hexToBytes(reversed(text) as Hex);
  return shown(doubleHash(joined(little(version), hash(prev_blockhash), hash(merkle_root), little(time), little(bits), little(nonce))));
}

/** The transaction with these bytes, in the block of the proof's header, which the caller finds in a chain. Throws `NotProven`. */
export function verifyInclusion(proof: InclusionProof, bytes: Uint8Array): Included {
  const { index, siblings, leftmost } = { ...proof, siblings: proof.siblings.map(node), leftmost: proof.leftmost.map(node) };
  require(siblings.length <= MOST_LEVELS, `a branch of ${siblings.length} levels, expected at most ${MOST_LEVELS}`);
  require(Number.isInteger(index) && index >= 0 && index < 2 ** siblings.length, `index ${index} is outside a tree of ${siblings.length} levels`);
  const transaction = readTransaction(bytes);
  const isDepthShown = leftmost.length > 0;
  if (isDepthShown) requireDepth(index, siblings, leftmost);
  let at: Uint8Array = doubleHash(bytes);
  siblings.forEach((sibling, level) => {
    const isRight = (index >> level) & 1;
    require(!isRight || !same(at, sibling), `the node at level ${level} is the copy of its left sibling`);
    const [first, second] = isRight ? [sibling, at] : [at, sibling];
    // The branch of the first transaction shows its depth itself.
    require(isDepthShown || index === 0 || !couldBeTransaction(first, second), `the two nodes at level ${level} could be a transaction of 64 bytes, and the depth of the tree is not shown`);
    at = doubleHash(joined(first, second));
  });
  require(shown(at) === proof.header.merkle_root, "the transaction's branch does not lead to the block");
  return { transaction, block: blockHash(proof) };
}

/** The first transaction is as deep as the proven one. */
function requireDepth(index: number, siblings: Uint8Array[], leftmost: Uint8Array[]): void {
  const want = 32 - Math.clz32(index);
  const [first, ...rest] = leftmost;
  require(first !== undefined && want !== 0 && leftmost.length === want, `the first transaction's branch has ${leftmost.length} nodes, expected ${want}`);
  // Half of a coinbase of 64 bytes would make the tree a level deeper.
  require(first.subarray(5).some((byte) => byte !== 0), "the first transaction's id has a coinbase's zeros, which no hash has");
  const got = rest.reduce((left, right) => doubleHash(joined(left, right)), first);
  const joins = siblings[want - 1];
  require(joins !== undefined && same(got, joins), "the first transaction's branch leads elsewhere");
}

/** Whether 64 bytes, in two halves, could be a transaction: one input, one output, scripts of 4 bytes together, and an amount below 2^51 sat. */
function couldBeTransaction(left: Uint8Array, right: Uint8Array): boolean {
  const script = right[9] as number;
  if (left[4] !== 1 || script > SCRIPT_BYTES) return false;
  const outputs = 14 + script;
  return right[outputs] === 1 && (right[outputs + 7] as number) < 8 && right[outputs + 8] === 0 && right[outputs + 9] === SCRIPT_BYTES - script;
}

const same = (a: Uint8Array, b: Uint8Array) => a.every((byte, at) => byte === b[at]);

function node(bytes: number[]): Uint8Array {
  require(bytes.length === 32 && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256), "a node of a branch is no hash");
  return Uint8Array.from(bytes);
}
