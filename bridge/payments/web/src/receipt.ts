// Receipts: leaves of a tree that the payee signs at its root (docs/adr/0036).
import { type Address, type Hex, concat, hashStruct, keccak256, recoverTypedDataAddress } from "viem";
import { type Domain, domainOf, types } from "./contract.js";

/** Hashes of a receipt's path. */
const MOST_PATH = 10;

/** What the payee says of one accepted voucher, with its path to a root that the payee signed. Amounts are decimal digits. */
export interface Receipt {
  channelId: Hex;
  cumulativeAmount: string;
  price: string;
  charged: string;
  highest: string;
  acceptedAt: number;
  request: Hex;
  path: Hex[];
  signature: Hex;
}

/** Who signed a receipt. Throws if its path is too long. */
export async function receiptSigner(domain: Domain, { path, signature, ...receipt }: Receipt): Promise<Address> {
  if (path.length > MOST_PATH) throw new Error(`receipt's path has ${path.length} hashes, ${MOST_PATH} are allowed`);
  const leaf = keccak256(hashStruct({ primaryType: "Receipt", types, data: receipt }));
  const root = path.reduce((a, b) => keccak256(concat(BigInt(a) < BigInt(b) ? [a, b] : [b, a])), leaf);
  return recoverTypedDataAddress({ domain: domainOf("Causeway Payment Receipt", domain), types, primaryType: "Receipts", message: { root }, signature });
}

/** By how much a payee was paid more than its last receipt and what is promised beside it allow. */
export function overclaim(receipt: Receipt, settled: bigint, promised: bigint): bigint {
  const allowed = BigInt(receipt.charged) + promised;
  return settled > allowed ? settled - allowed : 0n;
}
