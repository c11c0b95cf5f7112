// Bitcoin transactions without witness: their id, and what they pay. Bytes in any but the one canonical form are refused, as mainchain/src/proof.rs does.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesOf, digitsOf } from "../bitcoin/bytes.ts";
import { require } from "./failure.ts";

/** Of the largest possible one without witness: 4,000,000 weight units. */
const MOST_BYTES = 1_000_000;
/** Bytes that could also be two hashes of a block's tree. */
const AMBIGUOUS_BYTES = 64;

export interface Output {
  amountSat: bigint;
  /** As hex. */
  script: string;
}

export interface Transaction {
  /** As it is shown. */
  txid: string;
  outputs: Output[];
}

export const doubleHash = (bytes: Uint8Array): Uint8Array => sha256(sha256(bytes));

/** A hash as Bitcoin Core shows it. */
export const shown = (hash: Uint8Array): string => digitsOf(Uint8Array.from(hash).reverse());

export function readTransaction(bytes: Uint8Array): Transaction {
  require(bytes.length <= MOST_BYTES, `a transaction of ${bytes.length} bytes, expected at most ${MOST_BYTES}`);
  require(bytes.length !== AMBIGUOUS_BYTES, "a transaction of 64 bytes can be confused with two hashes of the tree");
  const reader = new Reader(bytes);
  reader.take(4);
  // A zero here would begin a witness (BIP 144).
  const inputs = reader.count();
  require(inputs > 0, "a transaction without inputs, or with a witness");
  for (let input = 0; input < inputs; input++) {
    reader.take(36);
    reader.take(reader.count());
    reader.take(4);
  }
  const outputs = Array.from({ length: reader.fitting(reader.count(), 9) }, () => {
    const amountSat = reader.little(8);
    return { amountSat, script: digitsOf(reader.take(reader.count())) };
  });
  require(outputs.length > 0, "a transaction without outputs");
  reader.take(4);
  reader.end();
  return { txid: shown(doubleHash(bytes)), outputs };
}

export function transactionBytes(hex: string): Uint8Array {
  const bytes = bytesOf(hex.replace(/^0x/, ""));
  require(bytes !== undefined, "a transaction is not hex");
  return bytes;
}

class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  take(length: number): Uint8Array {
    require(this.#at + length <= this.bytes.length, "a transaction is cut off");
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  little(length: number): bigint {
    return this.take(length).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** A count of Bitcoin's, in its shortest form. */
  count(): number {
    const first = Number(this.little(1));
    if (first < 0xfd) return first;
    const length = 2 ** (first - 0xfc);
    const value = this.little(length);
    require(value >= [0xfdn, 0x1_0000n, 0x1_0000_0000n][first - 0xfd]!, "a count of a transaction is not in its shortest form");
    require(value <= BigInt(MOST_BYTES), "a transaction is cut off");
    return Number(value);
  }

  /** A count of things that have at least so many bytes each: no more than there is room for. */
  fitting(count: number, bytes: number): number {
    require(count * bytes <= this.bytes.length - this.#at, "a transaction is cut off");
    return count;
  }

  end(): void {
    require(this.#at === this.bytes.length, "a transaction is followed by more bytes");
  }
}
