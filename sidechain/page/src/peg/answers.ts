// What a node's peg_* methods answer (docs/rpc.md). Amounts come as JSON integers: no amount of bitcoin is beyond 2^53, so `sats` makes them exact bigints.

export type Sat = number;

/** An amount of an answer, exactly. */
export function sats(amount: Sat): bigint {
  if (!Number.isSafeInteger(amount)) throw new RangeError(`${amount} is no amount of satoshis`);
  return BigInt(amount);
}

export type BitcoinNetwork = "mainnet" | "testnet4" | "signet" | "regtest";

export interface Contracts {
  lightClient: string;
  federation: string;
  signingBoard: string;
  bridge: string;
  vault: string;
  deposits: string;
  microChannel: string;
  wrappedBtc: string;
}

export interface Member {
  index: number;
  name: string;
  account: string;
}

export interface Tier {
  confirmations: number;
  /** The last tier's is beyond 2^53, and means all. */
  upToSat: Sat;
}

export interface Parameters {
  reclaimDelay: number;
  finalBlocks: number;
  minDepositSat: Sat;
  minWithdrawalSat: Sat;
  pegInFeeSat: Sat;
  pegOutFeeSat: Sat;
  floorRate: number;
  minRate: number;
  maxRate: number;
  capSat: Sat;
  windowSat: Sat;
  windowSeconds: number;
  refundAfter: number;
  tiers: Tier[];
}

export interface Books {
  vaultSat: Sat;
  owedSat: Sat;
  unmintedSat: Sat;
  unsweptSat: Sat;
  lostSat: Sat;
  /** Negative while overdrawn. */
  reserveSat: Sat;
  unclaimedSat: Sat;
  coveredSat: Sat;
  supplySat: Sat;
}

export interface Info {
  chainId: number;
  networkId: string;
  bitcoinNetwork: BitcoinNetwork;
  contracts: Contracts;
  epoch: number;
  groupKey: string | null;
  vaultKey: string | null;
  threshold: number;
  members: Member[];
  parameters: Parameters;
  bitcoinTip: { hash: string; height: number; time: number; lagSeconds: number };
  books: Books;
  head: { number: number; hash: string; timestamp: number };
  version: string;
}

export interface Limits {
  capSat: Sat;
  capUsedSat: Sat;
  windowSat: Sat;
  windowLeftSat: Sat;
  windowSeconds: number;
  pausedUntil: number;
  alarmed: boolean;
  missingSat: Sat;
  stopSat: Sat;
  stopped: boolean;
}

export interface Quote {
  rate: number;
  pegIn: { chargeSat: Sat; minAmountSat: Sat };
  pegOut: { chargeSat: Sat; floorFeeSat: Sat; minAmountSat: Sat };
}

export type DepositStatus = "proven" | "swept" | "minted" | "gone";

export interface Deposit {
  txid: string;
  vout: number;
  status: DepositStatus;
  recipient: string;
  claimant: string;
  amountSat: Sat;
  maxFeeSat: Sat;
  mintedSat: Sat | null;
  bound: boolean;
  sweptBy: number | null;
  height: number;
  confirmations: number;
  hasLeft: boolean;
  epoch: number;
}

export interface DepositPlace {
  block: number;
  logIndex: number;
}

export interface DepositReport {
  registered?: boolean;
  address?: string;
  deposits: Deposit[];
  next: DepositPlace | null;
  sinceBlock: number;
}

export interface DepositList {
  deposits: (Deposit & { address: string })[];
  next: DepositPlace | null;
  sinceBlock: number;
}

export type VaultStatus = "bound" | "settled" | "void";
export type WithdrawalStatus = "queued" | "tied" | "paid" | "cancelled" | "refunded";

export interface Version {
  number: number;
  txid: string;
  status: VaultStatus;
  chargeSat: Sat;
}

export interface Withdrawal {
  id: number;
  status: WithdrawalStatus;
  owner: string;
  amountSat: Sat;
  maxFeeSat: Sat;
  askedAt: number;
  tie: number | null;
  versions: Version[];
  paidBy: number | null;
  script: string;
}

export interface WithdrawalList {
  withdrawals: Withdrawal[];
  next: number | null;
  sinceBlock: number;
}

export interface Content {
  epoch: number;
  rate: number;
  reserveSat: Sat;
  deposits: string[];
  outputs: number[];
  withdrawals: number[];
}

export interface VaultTransaction {
  number: number;
  status: VaultStatus;
  output: "none" | "pending" | "live" | "spent" | "gone" | "void";
  txid: string;
  feeSat: Sat;
  changeSat: Sat;
  spentBy: number | null;
  height: number | null;
  confirmations: number;
  epoch: number;
  versions: { number: number; txid: string; status: VaultStatus }[];
  content: Content;
  amountsSat: Sat[];
  transaction: string;
}

export interface VaultTransactionList {
  vaultTransactions: VaultTransaction[];
  next: number | null;
  sinceBlock: number;
}

export interface LiveOutput {
  number: number;
  txid: string;
  amountSat: Sat;
  epoch: number;
  rooted: boolean;
}

export interface Vault {
  outputs: LiveOutput[];
  pending: { number: number; txid: string; boundAt: number; changeSat: Sat; content: Content }[];
  lookedFrom: number;
}
