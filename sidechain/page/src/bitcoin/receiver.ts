// Who gets the coins of a deposit: nobody that the ledger would refuse, and no claimant who could do nothing (bridge/cli/src/user/peg_in.rs).
import { type Address, checksumAddress, isAddress, zeroAddress } from "viem";
import type { Contracts } from "../peg/answers.ts";

/** Why an account cannot be the recipient, in words; `undefined`: it can, as far as its address shows. */
export function refusedRecipient(account: string, contracts: Contracts): string | undefined {
  if (isSame(account, contracts.bridge)) return "The recipient is the contract Bridge: what is paid would be its reserve's, and nobody would get coins. Enter your own account.";
  return refusedAccount("recipient", account, contracts);
}

/** Why an account cannot be the claimant. */
export function refusedClaimant(account: string, contracts: Contracts): string | undefined {
  const refused = refusedAccount("claimant", account, contracts);
  if (refused) return refused;
  const isLedger = Object.values(contracts).some((contract) => isSame(account, contract));
  return isLedger ? `The claimant is a contract of the ledger, ${account}, which can fetch nothing: coins that are refused would stay there.` : undefined;
}

/**
 * Whether the recipient has code that may refuse coins, and so needs a claimant who can fetch them. `code` is of `eth_getCode`. An account that delegates to
 * a contract (EIP-7702) can still claim by its key.
 */
export function needsClaimant(code: string): boolean {
  return code !== "0x" && code !== "" && !code.toLowerCase().startsWith("0xef0100");
}

/** An account as somebody typed it; `undefined`: it is none, or its capitals are not those of its checksum (EIP-55), so a character is another than it was. */
export function readAccount(text: string): Address | undefined {
  const typed = text.trim();
  if (!isAddress(typed, { strict: false })) return undefined;
  const digits = typed.slice(2);
  // Without a mix of capitals there is no checksum to compare.
  const hasChecksum = digits !== digits.toLowerCase() && digits !== digits.toUpperCase();
  return !hasChecksum || checksumAddress(typed) === typed ? (typed.toLowerCase() as Address) : undefined;
}

function refusedAccount(what: string, account: string, contracts: Contracts): string | undefined {
  if (!isAddress(account, { strict: false })) return `The ${what} is no account of the sidechain: those have 40 hexadecimal digits after 0x.`;
  if (isSame(account, zeroAddress)) return `The ${what} is the zero address: nobody could ever use the coins.`;
  const isPeg = [contracts.vault, contracts.deposits].some((contract) => isSame(account, contract));
  return isPeg ? `The ${what} is a contract of the bridge, ${account}, which takes no coins.` : undefined;
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
