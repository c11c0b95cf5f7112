// What somebody typed who takes bitcoin out: what would be signed, and why it cannot be. Pure, so that each fault can be said as soon as it is typed.
import { WEI_PER_SAT, parseAmount } from "../amount.ts";
import { AddressError, payeeOfAddress } from "../bitcoin/address.ts";
import { refusedWithdrawal, usualWithdrawalMaximum } from "../bitcoin/fee.ts";
import { digitsOf } from "../bitcoin/bytes.ts";
import { readPayment } from "../bitcoin/link.ts";
import { withdrawalRefused } from "../bitcoin/refusal.ts";
import type { Payee } from "../bitcoin/script.ts";
import type { Info, Quote } from "./answers.ts";

export type Field = "address" | "amount" | "maximum";

export interface Typed extends Record<Field, string> {
  /** All that the account has, but for the gas. */
  isAll: boolean;
}

export const nothingTyped = (): Typed => ({ address: "", amount: "", isAll: false, maximum: "" });

/** What is known while somebody types. */
export interface Known {
  info: Pick<Info, "bitcoinNetwork" | "parameters" | "groupKey" | "vaultKey">;
  /** Whether the node knows it as a deposit address. */
  isDeposit?: (address: string) => boolean;
  quote: Quote | undefined;
  /** Wei of the account that is chosen; nothing until the node has said. */
  balance: bigint | undefined;
  /** Wei that the gas may cost. */
  gasWei: bigint;
}

/** What will be signed. */
export interface Order {
  payee: Payee;
  address: string;
  amountSat: bigint;
  maxFeeSat: bigint;
}

/** What is typed, as far as it means something. */
export interface Read {
  payee: Payee | undefined;
  /** What a payment link asks for. */
  askedSat: bigint | undefined;
  amountSat: bigint | undefined;
  maxFeeSat: bigint | undefined;
  faults: Partial<Record<Field, string>>;
  /** Only of what has no fault. */
  order: Order | undefined;
}

export function read(typed: Typed, known: Known): Read {
  const { info, quote, balance } = known;
  const payment = readPayment(typed.address);
  const address = payment?.address ?? typed.address.trim();
  const named = payeeOf(address, info.bitcoinNetwork);
  const paid = typeof named === "string" ? named : (refusedPayee(named, info, known.isDeposit?.(address) ?? false) ?? named);
  const payee = typeof paid === "string" ? undefined : paid;
  const amountSat = typed.isAll ? all(known) : parseAmount(typed.amount, "BTC");
  const usual = quote && amountSat !== undefined && payee ? usualWithdrawalMaximum(amountSat, BigInt(quote.rate), payee, info.parameters) : undefined;
  const maxFeeSat = typed.maximum ? parseAmount(typed.maximum, "sat") : usual;
  const faults: Read["faults"] = {};
  if (typeof paid === "string") faults.address = paid;
  if (amountSat === undefined) faults.amount = typed.amount ? "This is no amount: write it as 0.1 or 0.1 BTC." : "How much is to go out?";
  else if (balance !== undefined && amountSat * WEI_PER_SAT > balance) faults.amount = "Your account has less than that.";
  if (typed.maximum && maxFeeSat === undefined) faults.maximum = "This is no amount: write it as 2000 sat.";
  if (payee && amountSat !== undefined && maxFeeSat !== undefined && !faults.amount) {
    const refused = refusedWithdrawal(amountSat, maxFeeSat, payee, info.parameters);
    if (refused) faults[refused.why === "belowLeast" || refused.why === "aboveWindow" || refused.why === "leavesDust" ? "amount" : "maximum"] = withdrawalRefused(refused);
  }
  const isOrder = payee && amountSat !== undefined && maxFeeSat !== undefined && !Object.keys(faults).length;
  return { payee, askedSat: payment?.amountSat, amountSat, maxFeeSat, faults, order: isOrder ? { payee, address, amountSat, maxFeeSat } : undefined };
}

/** What is paid to a key of the federation's is in no account (bridge/cli/src/user/peg_out.rs), and what is paid to a deposit address goes round in a circle, for two fees. */
function refusedPayee({ script }: Payee, { groupKey, vaultKey }: Known["info"], isDeposit: boolean): string | undefined {
  const digits = digitsOf(script);
  const isTheirs = [groupKey, vaultKey].some((key) => key !== null && `5120${key.slice(2).toLowerCase()}` === digits);
  if (isTheirs) return "The payee is a key of the federation's own: what is paid there belongs to nobody. Wanted is an address of yours, or of whom you pay.";
  return isDeposit ? "The payee is a deposit address of this peg: what is paid there comes back as coins, less the fees of both ways, or is too small and stays. Wanted is an address of yours, or of whom you pay." : undefined;
}

/** Whom an address pays, or why nobody. */
function payeeOf(address: string, network: Info["bitcoinNetwork"]): Payee | string {
  try {
    return payeeOfAddress(address, network);
  } catch (error) {
    return error instanceof AddressError ? error.message : String(error);
  }
}

/** All but what the gas may cost, in whole satoshis. */
function all({ balance, gasWei }: Known): bigint | undefined {
  if (balance === undefined) return undefined;
  const left = balance - gasWei;
  return left > 0n ? left / WEI_PER_SAT : 0n;
}
