// What went wrong, each with a page of its own whose link stays: what happened, what it means for the money, what to do.
import { NotProven } from "./evidence/failure.ts";
import { LEDGER } from "./faults/ledger.ts";
import { NODE } from "./faults/node.ts";
import { PAGE } from "./faults/page.ts";
import { WALLET } from "./faults/wallet.ts";
import { NodeDown, NodeError } from "./node.ts";
import { Reverts } from "./wallet/send.ts";
import { WalletError } from "./wallet/wallet.ts";

export interface Fault {
  title: string;
  /** Whose error it is, where several have the name. */
  by: string;
  happened: string;
  money: string;
  act: string;
  /** Messages that are told apart by their words alone. */
  messages?: readonly (readonly [words: string, meaning: string])[];
}

/** The page's own code for an error; `node-down`, `rpc-32000`, `wallet4001`, or the name of a ledger's error. */
export function codeOf(error: unknown): string {
  if (error instanceof Reverts) return error.error;
  if (error instanceof NodeDown) return "node-down";
  if (error instanceof NodeError) return /insufficient funds/.test(error.message) ? "insufficient-funds" : `rpc${error.code}`;
  if (error instanceof WalletError) return `wallet${error.code}`;
  if (error instanceof NotProven) return "not-proven";
  return "unexpected";
}

/** What an error says, as a sentence. */
export function sentenceOf(error: unknown): string {
  const words = (error instanceof Error ? error.message : String(error)).trim() || "something failed without a word";
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}

/** What there is to say of a code; several where contracts share a name, nothing of what is no code. */
export function faultsOf(code: string): Fault[] {
  const own = Object.hasOwn(PAGE, code) ? PAGE[code] : undefined;
  if (own) return [{ by: "This page", ...own }];
  const [, from, number] = /^(rpc|wallet)(-?\d{1,9})$/.exec(code) ?? [];
  if (from && number !== undefined) return [numbered(from === "rpc" ? "node" : "wallet", Number(number))];
  return Object.values(LEDGER).flatMap(({ by, faults }) => {
    const fault = Object.hasOwn(faults, code) ? faults[code] : undefined;
    return fault ? [{ by, ...fault }] : [];
  });
}

/** Numbers without words of their own have a page too: a wallet or a node of tomorrow may have more of them. */
function numbered(from: "node" | "wallet", code: number): Fault {
  const known = (from === "node" ? NODE : WALLET)[code];
  if (known) return { by: from === "node" ? "The node" : "Your wallet", ...known };
  return from === "node"
    ? { by: "The node", title: `The node refused a request (${code})`, happened: "The node answered a request of this page with an error whose number this page does not know.", money: "A refused request changes nothing.", act: "Read the message beside the link that led here. Try again later, or on another node of the network." }
    : { by: "Your wallet", title: `The wallet failed (${code})`, happened: "The wallet answered with an error whose number this page does not know.", money: "Nothing was sent as far as this page knows. The list of transactions in your wallet decides.", act: "Look whether the wallet lists a transaction. If it does not, try again, or use another wallet or the command line." };
}
