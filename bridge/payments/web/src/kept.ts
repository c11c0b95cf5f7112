// What a wallet keeps: channels, what became of those that pay no more, and payments whose answers did not come.
import { type Address, type Hex, concat, keccak256, toHex } from "viem";
import type { Terms } from "./contract.js";

/** Payments without an answer: of one server, and of all. Whoever breaks off each answer makes room for its own alone. */
const MOST_OF_ONE = 32;
const MOST_UNANSWERED = 256;
/** Channels that pay no more and are still listed. */
const MOST_PAST = 256;
/** Characters of a transaction's name. */
const MOST_REFERENCE = 128;
/** Seconds for which a server gives an answer again that was paid. */
const REDEEMABLE_S = 3_600;
/** Seconds by which the chain's time may be behind: until then nothing counts as expired there. */
const MOST_BEHIND_S = 60;

/** A channel of a payee. */
export interface Session {
  terms: Terms;
  channel: Hex;
  /** The server that it was opened for. One that an older version kept has none, and pays nobody by itself. */
  origin?: string;
  deposit: string;
  /** How often that was added to: the number of the next addition. */
  topUps?: number;
  /** An addition that the payee did not answer yet. */
  adding?: { amount: string; validBefore: string; nonce: Hex };
  /** What deliveries cost so far: our own count where there is one, else what the payee says. */
  spent: string;
  /** The signed deposit, until the payee answered it. */
  opening?: { authorization: Record<string, string>; signature: Hex };
  /** The payee refused that for its size. */
  isTooSmall?: boolean;
}

/** Why a channel pays no more: its payee closed it when it was asked to, or said unasked that it is closed; or its owner gave it up. */
export type Ended = "closed" | "said-closed" | "forgotten";

interface Past {
  channel: Hex;
  payee: Address;
  origin?: string;
  deposit: string;
  spent: string;
  ended: Ended;
  reference?: string;
}

/** A channel that is kept. */
export interface KeptChannel {
  channel: Hex;
  payee: Address;
  /** The server that it pays. */
  origin: string | undefined;
  deposit: bigint;
  spent: bigint;
}

/** A channel that pays no more. */
export interface PastChannel extends KeptChannel {
  ended: Ended;
  /** The closing transaction, as the payee says. */
  reference: string | undefined;
}

/** A request that is paid for and was not answered: it is shown again as it was, and paid once. */
export interface Unanswered {
  /** Hash of its method, URL and body. */
  request: Hex;
  /** Where it was paid. */
  url: string;
  /** Its Idempotency-Key. */
  key: string;
  /** Unix seconds. */
  at: number;
  /** The voucher that it was shown: again as far as it was. */
  voucher?: { channel: Hex; total: string };
  /** What was signed for it alone, as it is sent. */
  charge?: { field: string; value: string; payee: Address; amount: string; validBefore: string };
}

export interface Kept {
  spent: string;
  sessions: Record<string, Session>;
  past?: Past[];
  unanswered?: Unanswered[];
}

/** A request's name, whatever its headers. */
export function requestName(method: string, url: string, body: ArrayBuffer | undefined): Hex {
  return keccak256(concat([toHex(`${method} ${url}\n`), toHex(new Uint8Array(body ?? new ArrayBuffer(0)))]));
}

/** All that is locked and not spent, as far as is known: also what was signed and may still be carried out, and channels that are closed by their payees' unasked word alone. */
export function locked({ sessions, past = [] }: Kept): bigint {
  const left = ({ deposit, spent }: { deposit: string; spent: string }): bigint => (BigInt(deposit) > BigInt(spent) ? BigInt(deposit) - BigInt(spent) : 0n);
  const open = Object.values(sessions).reduce((sum, session) => sum + left(session) + BigInt(session.adding?.amount ?? 0), 0n);
  return past.filter(isCounted).reduce((sum, one) => sum + left(one), open);
}

const isCounted = ({ ended }: Past): boolean => ended === "said-closed";

/** A channel pays no more; its record stays. */
export function end(kept: Kept, session: Session, ended: Ended, said?: unknown): void {
  const reference = typeof said === "string" && said.length <= MOST_REFERENCE ? said : undefined;
  for (const [name, other] of Object.entries(kept.sessions)) if (other === session) delete kept.sessions[name];
  const { channel, terms, origin, deposit, spent } = session;
  const past = [...(kept.past ?? []), { channel, payee: terms.payee, deposit, spent, ended, ...(origin && { origin }), ...(reference && { reference }) }];
  // What counts stays.
  const oldest = past.length > MOST_PAST ? past.findIndex((one) => !isCounted(one)) : -1;
  kept.past = past.filter((_, at) => at !== oldest);
}

/** Whether so many records count that no further one could be kept. */
export const isFull = ({ past = [] }: Kept): boolean => past.filter(isCounted).length >= MOST_PAST;

/** The first that waits for an answer to this request and that nobody has in hand; `key`: as its caller names it. */
export function waiting(kept: Kept, request: Hex, key: string | null, inHand: Set<Unanswered>): Unanswered | undefined {
  kept.unanswered = (kept.unanswered ?? []).filter((one) => until(one) > now());
  return kept.unanswered.find((one) => one.request === request && (key === null || one.key === key) && !inHand.has(one));
}

/** Keeps one more; the oldest of the same server makes room, or the oldest of all. */
export function wait(kept: Kept, one: Unanswered): void {
  const all = [...(kept.unanswered ?? []), one];
  const { origin } = new URL(one.url);
  const ofOne = all.filter(({ url }) => new URL(url).origin === origin);
  const oldest = ofOne.length > MOST_OF_ONE ? ofOne[0] : all.length > MOST_UNANSWERED ? all[0] : undefined;
  kept.unanswered = all.filter((other) => other !== oldest);
}

/** When nobody gives an answer to it any more. */
const until = ({ at, charge }: Unanswered): number => (charge ? Number(charge.validBefore) : at) + REDEEMABLE_S;

/** Whether what was signed for it can still be carried out. */
export const isAlive = ({ charge }: Unanswered): boolean => charge !== undefined && Number(charge.validBefore) + MOST_BEHIND_S > now();

export const now = (): number => Math.floor(Date.now() / 1000);
