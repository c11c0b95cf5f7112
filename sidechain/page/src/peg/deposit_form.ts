// What somebody typed who brings bitcoin in: what it means, and why it cannot be used as it is. Pure, so that each fault can be said as soon as it is typed.
import type { Address } from "viem";
import { parseAmount } from "../amount.ts";
import { refusedDeposit, usualDepositMaximum } from "../bitcoin/fee.ts";
import { refusedPassphrase } from "../bitcoin/passphrase.ts";
import { readAccount, refusedClaimant, refusedRecipient } from "../bitcoin/receiver.ts";
import { ownReclaimKey } from "../bitcoin/record.ts";
import { depositRefused } from "../bitcoin/refusal.ts";
import { type Info, type Limits, type Quote, sats } from "./answers.ts";

export const FIELDS = ["recipient", "claimant", "amount", "maximum", "passphrase", "ownKey"] as const;
export type Field = (typeof FIELDS)[number];
export type Typed = Record<Field, string>;

export const nothingTyped = (): Typed => ({ recipient: "", claimant: "", amount: "", maximum: "", passphrase: "", ownKey: "" });

/** What is known while somebody types. */
export interface Known {
  info: Pick<Info, "contracts" | "parameters" | "bitcoinNetwork">;
  /** Of the connected wallet: whose the coins are to be, where nothing else is typed. */
  account: Address | undefined;
  quote: Quote | undefined;
  limits: Limits | undefined;
  /** Whether there is code at an account that may refuse coins, as far as the node has said. */
  hasCode: (account: Address) => boolean;
}

export interface Fault {
  words: string;
  /** Nothing is wrong with what is there, but it is not all: so it is not said before somebody wants to go on. */
  isMissing: boolean;
}

/** What is typed, as far as it means something. */
export interface Read {
  recipient: Address | undefined;
  /** Who fetches what the recipient's code refuses. */
  claimant: Address | undefined;
  /** Whether a claimant has to be named, or is. */
  wantsClaimant: boolean;
  amountSat: bigint | undefined;
  /** The most that the sweep may cost. */
  maxFeeSat: bigint | undefined;
  /** The same where nobody names one. */
  usualMaxFeeSat: bigint | undefined;
  faults: Partial<Record<Field, Fault>>;
}

const wrong = (words: string): Fault => ({ words, isMissing: false });
const missing = (words: string): Fault => ({ words, isMissing: true });
const NO_ACCOUNT = wrong("This is no account: 40 hexadecimal digits after 0x, with the capitals of its checksum, or none.");

export function read(typed: Typed, known: Known): Read {
  const recipient = readAccount(typed.recipient || (known.account ?? ""));
  const wantsClaimant = typed.claimant !== "" || (recipient !== undefined && known.hasCode(recipient));
  const amountSat = typed.amount ? parseAmount(typed.amount, "BTC") : undefined;
  const usualMaxFeeSat = known.quote && usualDepositMaximum(amountSat, BigInt(known.quote.rate), known.info.parameters);
  const maxFeeSat = typed.maximum ? parseAmount(typed.maximum, "sat") : usualMaxFeeSat;
  const faults = { ...ofAccounts(typed, recipient, known), ...ofAmounts(typed, amountSat, maxFeeSat, known), ...ofKey(typed, known) };
  return { recipient, claimant: typed.claimant ? readAccount(typed.claimant) : recipient, wantsClaimant, amountSat, maxFeeSat, usualMaxFeeSat, faults };
}

function ofAccounts(typed: Typed, recipient: Address | undefined, { info: { contracts }, hasCode }: Known): Read["faults"] {
  const found: Read["faults"] = {};
  if (!recipient && typed.recipient) found.recipient = NO_ACCOUNT;
  else if (!recipient) found.recipient = missing("Whose are the coins to be? Connect a wallet, or type an account.");
  const refused = recipient && refusedRecipient(recipient, contracts);
  if (refused) found.recipient = wrong(refused);
  const claimant = typed.claimant ? readAccount(typed.claimant) : undefined;
  if (typed.claimant && !claimant) found.claimant = NO_ACCOUNT;
  const unable = claimant && refusedClaimant(claimant, contracts);
  if (unable) found.claimant = wrong(unable);
  if (recipient && !refused && !typed.claimant && hasCode(recipient)) found.claimant = wrong("There is a contract at this account, which may refuse coins: name an account of yours that can fetch them then.");
  return found;
}

function ofAmounts(typed: Typed, amountSat: bigint | undefined, maxFeeSat: bigint | undefined, { info: { parameters }, limits }: Known): Read["faults"] {
  const found: Read["faults"] = {};
  if (typed.amount && amountSat === undefined) found.amount = wrong("This is no amount: write it as 0.1 or 0.1 BTC.");
  if (typed.maximum && maxFeeSat === undefined) found.maximum = wrong("This is no amount: write it as 20000 sat.");
  const refused = maxFeeSat !== undefined && !found.amount ? refusedDeposit(amountSat, maxFeeSat, parameters) : undefined;
  if (refused) found[refused.why === "belowLeast" || refused.why === "aboveWindow" ? "amount" : "maximum"] = wrong(depositRefused(refused));
  if (amountSat !== undefined && limits && amountSat + sats(limits.capUsedSat) > sats(parameters.capSat)) {
    found.amount = wrong("The peg holds as much as it may: this deposit would not be swept, and be yours again after the timelock.");
  }
  return found;
}

function ofKey({ ownKey, passphrase }: Typed, { info: { bitcoinNetwork } }: Known): Read["faults"] {
  if (!ownKey) {
    const refused = refusedPassphrase(passphrase, bitcoinNetwork);
    if (!refused) return {};
    return { passphrase: passphrase ? wrong(refused) : missing("The key that takes your deposit back is kept encrypted: choose a passphrase, or let one be drawn.") };
  }
  try {
    ownReclaimKey(ownKey.trim());
    return {};
  } catch (error) {
    return { ownKey: wrong(error instanceof Error ? error.message : String(error)) };
  }
}
