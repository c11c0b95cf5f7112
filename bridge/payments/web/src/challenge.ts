// Challenges of the HTTP authentication scheme `Payment` (MPP, draft-httpauth-payment).
import type { Address, Hex } from "viem";

/** Characters of a header that are read. */
const MOST_CHARACTERS = 65_536;

/** A challenge, as it was issued and as its answer repeats it. */
export interface Challenge {
  id: string;
  realm: string;
  method: string;
  intent: string;
  /** base64url of JSON. */
  request: string;
  expires?: string;
  digest?: string;
  opaque?: string;
  header?: string;
  description?: string;
}

/** What a challenge of method `evm` asks for: as a charge, or for a unit of a session. */
export interface Asked {
  amount: bigint;
  currency: Address;
  recipient: Address;
  chainId: number;
  unitType?: string;
  suggestedDeposit?: bigint;
  escrowContract?: Address;
  channelId?: Hex;
  minVoucherDelta: bigint;
  feePayer: boolean;
  credentialTypes: string[];
  splits: boolean;
}

const known = ["id", "realm", "method", "intent", "request", "expires", "digest", "opaque", "header", "description"] as const;

/** The `Payment` challenges of a `WWW-Authenticate` header (RFC 9110, section 11.6.1); those that lack something, or say it twice, are left out. */
export function challenges(header: string): Challenge[] {
  const word = /[\s,]*([^\s,="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/gy;
  const found: { scheme: string; params: Map<string, string | null> }[] = [];
  for (const [, name = "", quoted, plain] of header.slice(0, MOST_CHARACTERS).matchAll(word)) {
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    if (value === undefined) found.push({ scheme: name.toLowerCase(), params: new Map() });
    else {
      const params = found.at(-1)?.params;
      const key = name.toLowerCase();
      params?.set(key, params.has(key) ? null : value);
    }
  }
  return found.filter(({ scheme }) => scheme === "payment").flatMap(({ params }) => {
    const entries = known.flatMap((name) => (params.get(name) ? [[name, params.get(name)]] : []));
    const challenge = Object.fromEntries(entries) as Challenge;
    return challenge.id && challenge.method && challenge.intent && challenge.request && challenge.realm !== undefined ? [challenge] : [];
  });
}

const address = (text: unknown): Address => {
  if (typeof text === "string" && /^0x[0-9a-fA-F]{40}$/.test(text)) return text as Address;
  throw new Error(`${JSON.stringify(text)} is no address`);
};

const amount = (text: unknown): bigint => {
  if (typeof text === "string" && /^\d{1,39}$/.test(text)) return BigInt(text);
  throw new Error(`${JSON.stringify(text)} is no amount`);
};

/** What it asks for. Throws if it cannot be read. */
export function asked(challenge: Challenge): Asked {
  const json = JSON.parse(new TextDecoder().decode(fromBase64url(challenge.request)));
  const details = json.methodDetails ?? {};
  return {
    amount: amount(json.amount),
    currency: address(json.currency),
    recipient: address(json.recipient),
    chainId: Number(details.chainId),
    ...(typeof json.unitType === "string" && { unitType: json.unitType }),
    ...(json.suggestedDeposit !== undefined && { suggestedDeposit: amount(json.suggestedDeposit) }),
    ...(details.escrowContract !== undefined && { escrowContract: address(details.escrowContract) }),
    minVoucherDelta: amount(details.minVoucherDelta ?? "0"),
    feePayer: details.feePayer === true,
    credentialTypes: Array.isArray(details.credentialTypes) ? details.credentialTypes : [],
    splits: details.splits !== undefined,
  };
}

export function toBase64url(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

export function fromBase64url(text: string): Uint8Array {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/").replace(/=+$/, ""));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

/** `Authorization: Payment ...` */
export function credential(challenge: Challenge, payload: object, source?: string): string {
  const json = JSON.stringify({ challenge, payload, ...(source && { source }) });
  return `Payment ${toBase64url(new TextEncoder().encode(json))}`;
}
