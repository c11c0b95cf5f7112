// BIP21 payment links.
import { SAT_PER_BTC } from "../amount.ts";

const EIGHT = 8;
const SCHEME = "bitcoin:";
/** An address and its amount are far shorter; a label may be longer, and is not needed. */
const MOST_CHARACTERS = 2_000;

export interface Payment {
  address: string;
  amountSat?: bigint;
}

/** `bitcoin:ADDRESS?amount=0.1`: the amount in BTC, whatever unit the page shows. */
export function paymentLink({ address, amountSat }: Payment): string {
  return `${SCHEME}${address}${amountSat === undefined ? "" : `?amount=${decimal(amountSat)}`}`;
}

/**
 * The same for a QR code. An address alone is written in capitals, which need less room (BIP173 allows them; a scheme has no case, RFC 3986). With an amount
 * they would save nothing, as `?` and `=` have no short code.
 */
export function paymentCode(payment: Payment): string {
  const link = paymentLink(payment);
  // base58 tells capitals apart.
  const isWitness = payment.address === payment.address.toLowerCase();
  return isWitness && payment.amountSat === undefined ? link.toUpperCase() : link;
}

/**
 * What somebody pasted where an address is wanted: a link, or the address alone, without the space around it. The address is still to be checked.
 * `undefined`: a link that asks for something that is not understood (BIP21: `req-…`), or that names no amount that there can be.
 */
export function readPayment(text: string): Payment | undefined {
  const trimmed = text.trim();
  if (trimmed.length > MOST_CHARACTERS) return undefined;
  if (trimmed.slice(0, SCHEME.length).toLowerCase() !== SCHEME) return { address: trimmed };
  const [address = "", ...query] = trimmed.slice(SCHEME.length).split("?");
  const asked = new URLSearchParams(query.join("?"));
  if ([...asked.keys()].some((name) => name.toLowerCase().startsWith("req-"))) return undefined;
  const amounts = [...asked].filter(([name]) => name.toLowerCase() === "amount").map(([, value]) => value);
  const [amount] = amounts;
  if (amount === undefined) return { address };
  // Which of two is meant, nobody knows.
  if (amounts.length > 1) return undefined;
  const amountSat = satoshis(amount);
  return amountSat === undefined ? undefined : { address, amountSat };
}

function decimal(sat: bigint): string {
  if (sat < 0n) throw new RangeError(`a payment of ${sat} sat`);
  const fraction = (sat % SAT_PER_BTC).toString().padStart(EIGHT, "0").replace(/0+$/, "");
  return `${sat / SAT_PER_BTC}${fraction && `.${fraction}`}`;
}

/** BIP21: decimal digits and at most one point. */
function satoshis(text: string): bigint | undefined {
  const [, whole, fraction = ""] = /^(\d{1,8})(?:\.(\d{0,8}))?$/.exec(text) ?? [];
  return whole === undefined ? undefined : BigInt(whole) * SAT_PER_BTC + BigInt(fraction.padEnd(EIGHT, "0"));
}
