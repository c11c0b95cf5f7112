// What a node's eth_* methods answer, as far as this page shows it; numbers are hex digits.

export interface Log {
  address: string;
  topics: string[];
  data: string;
  blockNumber: string;
  blockTimestamp?: string;
  transactionHash: string;
  transactionIndex: string;
  logIndex: string;
}

export interface Block {
  number: string;
  hash: string;
  parentHash: string;
  timestamp: string;
  miner: string;
  gasUsed: string;
  gasLimit: string;
  baseFeePerGas?: string;
  stateRoot: string;
  size?: string;
  transactions: (string | Transaction)[];
}

export interface Transaction {
  hash: string;
  blockNumber: string | null;
  blockHash: string | null;
  transactionIndex: string | null;
  from: string;
  to: string | null;
  value: string;
  input: string;
  nonce: string;
  gas: string;
  gasPrice?: string;
  type: string;
}

export interface Receipt {
  status: string;
  blockNumber: string;
  gasUsed: string;
  effectiveGasPrice: string;
  contractAddress: string | null;
  logs: Log[];
}

/** A number that an answer has in hex; throws what a person can read. */
export function numberOf(hex: string | undefined | null): number {
  const number = typeof hex === "string" && /^0x[0-9a-f]{1,14}$/i.test(hex) ? Number.parseInt(hex, 16) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new Error(`the node says ${String(hex).slice(0, 80)} where a number should be`);
  return number;
}

export function wei(hex: string | undefined | null): bigint {
  if (typeof hex !== "string" || !/^0x[0-9a-f]{1,64}$/i.test(hex)) throw new Error(`the node says ${String(hex).slice(0, 80)} where an amount should be`);
  return BigInt(hex);
}

export const hexOf = (number: number): string => `0x${number.toString(16)}`;
export const word = (number: number | bigint): string => `0x${number.toString(16).padStart(64, "0")}`;
export const addressWord = (address: string): string => `0x${address.slice(2).toLowerCase().padStart(64, "0")}`;

/** Bitcoin's ids are printed the other way round than they are hashed, and logged as they are hashed. */
export function turned(id: string): string {
  const digits = id.replace(/^0x/, "");
  return (digits.match(/../g) ?? []).reverse().join("");
}
