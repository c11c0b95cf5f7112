// A block's header, of which the hash is what validators sign (Ethereum's yellow paper, 4.4).
import { type Hex, fromRlp, hexToBigInt, hexToNumber, keccak256, size } from "viem";
import { NotProven, require } from "./failure.ts";

export interface Header {
  hash: Hex;
  parentHash: Hex;
  stateRoot: Hex;
  number: number;
  /** Seconds since 1970. */
  timestamp: number;
}

const PARENT = 0;
const STATE_ROOT = 3;
const NUMBER = 8;
const TIMESTAMP = 11;

export function readHeader(raw: Hex): Header {
  let fields: unknown;
  try {
    fields = fromRlp(raw, "hex");
  } catch (error) {
    throw new NotProven("a header is not RLP", { cause: error });
  }
  require(Array.isArray(fields) && fields.length > TIMESTAMP && fields.every((field) => typeof field === "string"), "a header has other fields");
  const [parentHash, stateRoot, number, timestamp] = [PARENT, STATE_ROOT, NUMBER, TIMESTAMP].map((at) => fields[at] as Hex) as [Hex, Hex, Hex, Hex];
  require(size(parentHash) === 32 && size(stateRoot) === 32 && size(number) <= 6 && size(timestamp) <= 6, "a header has fields of other sizes");
  const count = (bytes: Hex) => (bytes === "0x" ? 0 : hexToNumber(bytes));
  require(number === "0x" || hexToBigInt(number) > 0n, "a header's number is not in its shortest form");
  return { hash: keccak256(raw), parentHash, stateRoot, number: count(number), timestamp: count(timestamp) };
}
