import type { Abi, Address, Hex, LocalAccount } from "viem";

/** Requests of one channel that are not answered: as many as are made for. */
export const MOST_IN_FLIGHT: 64;
export const abi: Abi;
export const types: Record<string, { name: string; type: string }[]>;

/** One deployment of the contract on one chain. */
export interface Domain {
  chainId: number;
  contract: Address;
}

/** What a channel's id is made of, beside the domain. */
export interface Terms {
  payer: Address;
  payee: Address;
  /** Zero: the coin. */
  token: Address;
  salt: Hex;
  /** Who signs vouchers; zero: the payer. */
  authorizedSigner: Address;
}

/** A promise of all that was paid so far. Amounts are decimal digits. */
export interface Voucher {
  channelId: Hex;
  cumulativeAmount: string;
  signature: Hex;
}

/** What the payee says of one accepted voucher, with its path to a root that the payee signed. */
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

/** A request that costs something. */
export interface Request {
  /** The same for the same request: its Idempotency-Key. */
  id: string;
  endpoint: string;
  price: bigint;
}

/** Keeps one string. `save` ends when it is durable. */
export interface Store {
  load(): Promise<string | null | undefined>;
  save(text: string): Promise<void>;
}

export interface Options {
  domain: Domain;
  channel: Hex;
  deposit: bigint;
  settled?: bigint;
  account: LocalAccount;
  receiptSigner: Address;
  limits: { inAll: bigint; each: bigint; endpoints?: Record<string, bigint> };
  store: Store;
}

export function channelId(domain: Domain, terms: Terms): Hex;
export function openNonce(network: Hex, id: Hex): Hex;
export function openCall(network: Hex, terms: Terms, deposit: bigint): Hex;
export function receiptSigner(domain: Domain, receipt: Receipt): Promise<Address>;
export function overclaim(receipt: Receipt, settled: bigint, promised: bigint): bigint;

export class Payer {
  private constructor();
  static start(options: Options): Promise<Payer>;
  get signed(): bigint;
  get receipt(): Receipt | null;
  unanswered(): Request[];
  pay(request: Request): Promise<Voucher>;
  answer(receipt: Receipt): Promise<void>;
  overclaim(settled: bigint): bigint;
}
