// What a deposit and a withdrawal pay, to the satoshi, and the sums that a screen shows.
//
// A charge depends on the rate and on one's own size alone (docs/ledger.md, "Fees"), so it is computed here by the same numbers as
// contracts/src/bridge/Charges.sol; what `peg_quote` says is compared with it. Rates are in satoshis per 1,000 virtual bytes.
import type { Parameters, Quote } from "../peg/answers.ts";
import { sats } from "../peg/answers.ts";
import type { Payee } from "./script.ts";

/** What of a charge goes where: the size's part to the miners and what all share, the rest to the reserve of the peg. */
export interface Charge {
  bitcoinSat: bigint;
  pegSat: bigint;
  totalSat: bigint;
}

/** Adds up exactly: sent - fee of Bitcoin - fee of the peg = received. */
export interface Bill {
  sentSat: bigint;
  bitcoinSat: bigint;
  pegSat: bigint;
  receivedSat: bigint;
}

/** Amount and script length of an output. */
const OUTPUT_BYTES = 9n;
/** A participant's part of the bytes that all share: overhead, change, anchor, and a payout's input. */
const SHARED_VBYTES = 35n;
/** 41 bytes of input and 66 of witness, 57.5 vB, and the shared part: in halves of a vB. */
const DEPOSIT_HALF_VBYTES = 115n + 2n * SHARED_VBYTES;

/** 300 sat/vB, more than all but the dearest days asked for: beyond what it costs goes no maximum of who names none. */
const HIGHEST_RATE = 300_000n;
/** A maximum allows for a rate that rises so many times until the payout is made. */
const TIMES = 3n;
/** Without a word of the user no more than this part of an amount goes to fees. */
const PART = 4n;
/** Least usual maximum of a deposit: nobody can raise it later, and what is not swept waits for its timelock. */
const LEAST_OF_DEPOSIT = 20_000n;
/** The most that a deposit's terms may name, 1 BTC. */
const MOST_OF_DEPOSIT = 100_000_000n;

/** The whole charge of a withdrawal to a script of so many bytes. */
export function withdrawalCharge(scriptBytes: number, rate: bigint, { pegOutFeeSat }: Parameters): Charge {
  return charge(up(rate * (OUTPUT_BYTES + BigInt(scriptBytes) + SHARED_VBYTES), 1_000n), sats(pegOutFeeSat));
}

/** The whole charge of any deposit. */
export function depositCharge(rate: bigint, { pegInFeeSat }: Parameters): Charge {
  return charge(up(rate * DEPOSIT_HALF_VBYTES, 2_000n), sats(pegInFeeSat));
}

/** The least maximum of a new withdrawal. */
export function floorFee(scriptBytes: number, parameters: Parameters): bigint {
  return withdrawalCharge(scriptBytes, BigInt(parameters.floorRate), parameters).totalSat;
}

/** The least maximum that a deposit's terms may name. */
export function leastDepositMaximum(parameters: Parameters): bigint {
  return depositCharge(BigInt(parameters.minRate), parameters).totalSat;
}

/**
 * What arrives of a deposit: as of the ledger, the charge is at most its maximum and its amount (`Charges.brings`).
 */
export function depositBill(amountSat: bigint, maxFeeSat: bigint, rate: bigint, parameters: Parameters): Bill {
  return bill(amountSat, least(maxFeeSat, amountSat), depositCharge(rate, parameters));
}

/** The highest rate at which a deposit's maximum is enough; none where it is not enough at any. */
export function enoughUpTo(maxFeeSat: bigint, { pegInFeeSat }: Parameters): bigint | undefined {
  const left = maxFeeSat - sats(pegInFeeSat);
  return left > 0n ? (left * 2_000n) / DEPOSIT_HALF_VBYTES : undefined;
}

/** What arrives of a withdrawal that is paid at this rate; at most its maximum is taken. */
export function withdrawalBill(amountSat: bigint, maxFeeSat: bigint, rate: bigint, payee: Payee, parameters: Parameters): Bill {
  return bill(amountSat, least(maxFeeSat, amountSat), withdrawalCharge(payee.script.length, rate, parameters));
}

/**
 * What of an amount goes where when at most `mostSat` of a charge is taken: Bitcoin's part first. So also of a payout that was made, by what its version took
 * and the rate of its vault transaction.
 */
export function bill(amountSat: bigint, mostSat: bigint, { bitcoinSat, totalSat }: Charge): Bill {
  const taken = least(totalSat, mostSat);
  const bitcoin = least(bitcoinSat, taken);
  return { sentSat: amountSat, bitcoinSat: bitcoin, pegSat: taken - bitcoin, receivedSat: amountSat - taken };
}

/** The maximum of a withdrawal whose owner names none; less than it costs now: that is out of proportion, and the owner has to name one. */
export function usualWithdrawalMaximum(amountSat: bigint, rate: bigint, payee: Payee, parameters: Parameters): bigint {
  const bytes = payee.script.length;
  const highest = least(withdrawalCharge(bytes, HIGHEST_RATE, parameters).totalSat, amountSat / PART);
  return most(least(withdrawalCharge(bytes, rate, parameters).totalSat * TIMES, highest), floorFee(bytes, parameters));
}

/** The same of a deposit, whose amount may not be known yet. */
export function usualDepositMaximum(amountSat: bigint | undefined, rate: bigint, parameters: Parameters): bigint {
  const highest = depositCharge(HIGHEST_RATE, parameters).totalSat;
  // Of a tiny amount more than that part: what is not swept is locked, and a rate that doubles is no rarity.
  const twice = depositCharge(2n * rate, parameters).totalSat;
  const allowed = amountSat === undefined ? highest : least(highest, most(amountSat / PART, least(twice, amountSat / 2n)));
  return least(most(depositCharge(rate, parameters).totalSat * TIMES, LEAST_OF_DEPOSIT), allowed);
}

export type Refusal =
  | { why: "belowLeast"; leastSat: bigint }
  | { why: "aboveWindow"; mostSat: bigint }
  | { why: "maximumBelowFloor"; leastSat: bigint }
  | { why: "maximumAboveMost"; mostSat: bigint }
  | { why: "leavesDust"; restSat: bigint; leastSat: bigint };

/** Why the bridge would refuse a withdrawal (`Bridge.withdraw`); `undefined`: it would not. */
export function refusedWithdrawal(amountSat: bigint, maxFeeSat: bigint, payee: Payee, parameters: Parameters): Refusal | undefined {
  const [leastSat, mostSat] = [sats(parameters.minWithdrawalSat), sats(parameters.windowSat)];
  if (amountSat < leastSat) return { why: "belowLeast", leastSat };
  if (amountSat > mostSat) return { why: "aboveWindow", mostSat };
  const floor = floorFee(payee.script.length, parameters);
  if (maxFeeSat < floor) return { why: "maximumBelowFloor", leastSat: floor };
  const restSat = most(amountSat - maxFeeSat, 0n);
  return restSat < payee.dustSat ? { why: "leavesDust", restSat, leastSat: payee.dustSat } : undefined;
}

/** Why a deposit, or its terms, would not be taken; `undefined`: they would. */
export function refusedDeposit(amountSat: bigint | undefined, maxFeeSat: bigint, parameters: Parameters): Refusal | undefined {
  const leastSat = sats(parameters.minDepositSat);
  if (amountSat !== undefined && amountSat < leastSat) return { why: "belowLeast", leastSat };
  const floor = leastDepositMaximum(parameters);
  if (maxFeeSat < floor) return { why: "maximumBelowFloor", leastSat: floor };
  if (maxFeeSat > MOST_OF_DEPOSIT) return { why: "maximumAboveMost", mostSat: MOST_OF_DEPOSIT };
  return amountSat !== undefined && maxFeeSat >= amountSat ? { why: "leavesDust", restSat: 0n, leastSat: 1n } : undefined;
}

/** Whether a quote is what its rate makes: a node that says otherwise, or nothing of the kind, is not to be used. */
export function isSound(quote: Quote | null, scriptBytes: number, parameters: Parameters): boolean {
  const { rate, pegIn, pegOut } = quote ?? {};
  if (rate === undefined || !Number.isSafeInteger(rate) || rate < parameters.minRate || rate > parameters.maxRate) return false;
  const at = BigInt(rate);
  const made = [depositCharge(at, parameters).totalSat, withdrawalCharge(scriptBytes, at, parameters).totalSat, floorFee(scriptBytes, parameters)];
  return [pegIn?.chargeSat, pegOut?.chargeSat, pegOut?.floorFeeSat].every((told, which) => told !== undefined && Number.isSafeInteger(told) && BigInt(told) === made[which]);
}

function charge(bitcoinSat: bigint, pegSat: bigint): Charge {
  return { bitcoinSat, pegSat, totalSat: bitcoinSat + pegSat };
}

/** The quotient, rounded up: in favour of who keeps the vault, as the ledger does. */
function up(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
