// What somebody pasted, understood: each thing it can mean, before any node is asked. Pure.
import { type AddressError, scriptOfAddress } from "./bitcoin/address.ts";
import { bytesOf, digitsOf } from "./bitcoin/bytes.ts";
import { readPayment } from "./bitcoin/link.ts";
import { programOf } from "./bitcoin/script.ts";
import type { BitcoinNetwork } from "./peg/answers.ts";
import { isAddress } from "viem";

export type Meaning =
  /** An account or contract here. */
  | { is: "account"; address: string }
  /** An output of a Bitcoin transaction. */
  | { is: "outpoint"; txid: string; vout: number }
  /** 32 bytes: a transaction of either chain, a block, an output key, a channel. */
  | { is: "hash"; digits: string }
  /** Of a withdrawal, a vault transaction or a block; `of` where the words around it say which. */
  | { is: "number"; number: number; of?: "withdrawal" | "vault" | "block" }
  /** `outputKey` of a taproot address: those are deposit addresses. */
  | { is: "bitcoin"; address: string; script: string; outputKey?: string }
  | { is: "script"; script: string };

export interface Understood {
  /** As it was read: without what was around it. */
  text: string;
  /** All that it can mean; empty when it means nothing. */
  meanings: Meaning[];
  /** Why it means nothing, in a sentence. */
  wrong?: string;
}

export const NOTHING_TYPED = "There is nothing in the field yet.";
/** Nothing that can be found is longer. */
const MOST_CHARACTERS = 400;
const LEAST_SCRIPT_DIGITS = 44;
const MOST_SCRIPT_DIGITS = 84;
const MOST_VOUT = 0xffffffff;

const NUMBERED = /^(withdrawal|payout|peg-?out|vault|vaulttransaction|vaulttx|block)?(?:no\.?|nr\.?|number|#)?(\d{1,15})$/i;

export function understand(pasted: string, network: BitcoinNetwork): Understood {
  if (pasted.length > MOST_CHARACTERS) return { text: `${pasted.slice(0, 40)}…`, meanings: [], wrong: `This has ${pasted.length} characters. Nothing that can be found here has so many: enter one address, transaction or number.` };
  const text = bare(pasted);
  if (!text) return { text, meanings: [], wrong: NOTHING_TYPED };
  const [meaning, wrong] = meaningOf(text, network);
  return { text, meanings: meaning ? [meaning] : [], ...(wrong === undefined ? {} : { wrong }) };
}

/** Without white space (also such as nobody sees), quotes, and the links of wallets and explorers around it. */
function bare(pasted: string): string {
  let text = pasted.normalize("NFKC").replace(/[\s\u200b-\u200f\u2060\ufeff"'`<>]/g, "");
  const payment = readPayment(text);
  if (payment) text = payment.address;
  // A request that is not understood still names an address.
  text = text.replace(/^bitcoin:(?:\/\/)?([^?]*).*$/i, "$1");
  // EIP-681: ethereum:pay-0x…@chain/function?…
  text = text.replace(/^ethereum:(?:\/\/)?(?:pay-)?([^@/?]*).*$/i, "$1");
  if (/^https?:\/\/|^#\//i.test(text)) text = lastPart(text);
  return text.replace(/[.,;]+$/, "");
}

/** What a link to an explorer, or to this page, is about: the last part of it that is long enough, or a number. */
function lastPart(link: string): string {
  const path = link.includes("#/") ? link.slice(link.indexOf("#/") + 2) : link.replace(/^https?:\/\/[^/]*/i, "").replace(/[?#].*$/, "");
  const parts = path.split("/").filter(Boolean).map(readable);
  const last = parts.at(-1) ?? "";
  const before = parts.at(-2)?.toLowerCase() ?? "";
  return /^\d+$/.test(last) && ["withdrawal", "vault", "block"].includes(before) ? `${before}${last}` : last;
}

function readable(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function meaningOf(text: string, network: BitcoinNetwork): [Meaning | undefined, string?] {
  const numbered = NUMBERED.exec(text);
  if (numbered) return [numberMeant(Number(numbered[2]), numbered[1]?.toLowerCase())];
  const outpoint = /^(?:0x)?([0-9a-f]{64})[:#-](\d{1,10})$/i.exec(text);
  if (outpoint) {
    const vout = Number(outpoint[2]);
    return vout > MOST_VOUT ? [undefined, `No transaction has an output ${vout}: output numbers end at ${MOST_VOUT}.`] : [{ is: "outpoint", txid: (outpoint[1] as string).toLowerCase(), vout }];
  }
  const hex = /^(0x)?([0-9a-f]+)$/i.exec(text);
  if (hex && (hex[1] || text.length >= 40)) return digitsMeant(hex[2] as string, text, network);
  if (/^0x/i.test(text)) return [undefined, "This begins as an address or a hash does, and has letters that neither has: 0 to 9 and a to f are possible behind 0x. Copy it again."];
  return bitcoinMeant(text, network);
}

function numberMeant(number: number, named: string | undefined): Meaning {
  const of = named?.startsWith("vault") ? "vault" : named === "block" ? "block" : named ? "withdrawal" : undefined;
  return { is: "number", number, ...(of ? { of } : {}) };
}

function digitsMeant(digits: string, text: string, network: BitcoinNetwork): [Meaning | undefined, string?] {
  const lower = digits.toLowerCase();
  if (digits.length === 40) {
    const isOneCase = digits === lower || digits === digits.toUpperCase();
    // EIP-55: capital letters are the checksum.
    if (!isOneCase && !isAddress(`0x${digits}`, { strict: true })) {
      return [undefined, "The capital letters of this address are its checksum, and it is wrong: a character is another than it was. Copy the whole address again."];
    }
    return [{ is: "account", address: `0x${lower}` }];
  }
  if (digits.length === 64) return [{ is: "hash", digits: lower }];
  if (/^0x/i.test(text) && digits.length < 14) return [{ is: "number", number: Number.parseInt(digits, 16), of: "block" }];
  if (digits.length >= LEAST_SCRIPT_DIGITS && digits.length <= MOST_SCRIPT_DIGITS && digits.length % 2 === 0) {
    const bytes = bytesOf(lower);
    if (bytes && programOf(bytes)) return [{ is: "script", script: `0x${lower}` }];
  }
  if (isBitcoinAddress(text, network)) return bitcoinMeant(text, network);
  return [undefined, `This has ${digits.length} hex digits. An address has 40, a transaction, block or key 64, and an output script 44 to 84: it may have been cut off when it was copied.`];
}

function isBitcoinAddress(text: string, network: BitcoinNetwork): boolean {
  try {
    scriptOfAddress(text, network);
    return true;
  } catch {
    return false;
  }
}

/** An address of Bitcoin, or why it is none; what does not look like one is told so, and not what is wrong with its letters. */
function bitcoinMeant(text: string, network: BitcoinNetwork): [Meaning | undefined, string?] {
  try {
    const script = scriptOfAddress(text, network);
    const program = programOf(script);
    const isTaproot = program?.kind === "witness" && program.version === 1 && program.bytes.length === 32;
    const address = program?.kind === "witness" ? text.toLowerCase() : text;
    return [{ is: "bitcoin", address, script: `0x${digitsOf(script)}`, ...(isTaproot ? { outputKey: `0x${digitsOf(program.bytes)}` } : {}) }];
  } catch (error) {
    const looksLike = /^(bc|tb|bcrt)1/i.test(text) || (/^[123mn][1-9A-HJ-NP-Za-km-z]{24,}$/.test(text)) || (error as AddressError).fault === "secret";
    if (looksLike) return [undefined, (error as AddressError).message];
    return [undefined, "This is no address, transaction, outpoint or number that this page knows."];
  }
}
