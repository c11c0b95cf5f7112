// Who keeps a federation waiting, by what everybody can read: the signing board and the confirmations of a key. Pure; the same as
// bridge/src/waited_for.rs and bridge/src/board.rs, so that this page and `causeway status` name the same members.
import { encodeAbiParameters, keccak256, stringToHex } from "viem";

/** Subjects of posts. */
export const KIND = { approval: 0, dkgRound1: 1, dkgRound2: 2, commitments: 3, shares: 4, dkgComplaint: 5 } as const;

/** A post on the signing board. */
export interface Post {
  session: string;
  member: number;
  kind: number;
  payload: Uint8Array;
  /** Of its block, in seconds. */
  time: number;
}

export interface WaitedFor {
  member: number;
  name: string;
  what: string;
}

/** Where as many members as sign together have to appear: the approvals of a proposal, the commitments of an attempt at signing. */
export interface Gathering {
  what: string;
  there: ReadonlySet<number>;
  /** Seconds since it began. */
  age: number;
}

export type Step = "first part of the key" | "second part of the key" | "confirmation of the key";

/** Seconds after which a gathering is late: some blocks, and a bitcoind that takes a while to answer. */
const LATE_AFTER_S = 20;
/** Attempts at making a key that are looked at (bridge/src/dkg). */
const MAX_ATTEMPTS = 32;

type Subject = "proposal" | "signing" | "keygen";

/** As `SigningBoard` computes it. */
export function session(network: string, subject: Subject, number: number, attempt: number): string {
  const types = [{ type: "bytes32" }, { type: "bytes32" }, { type: "uint256" }, { type: "uint256" }] as const;
  return keccak256(encodeAbiParameters(types, [network as `0x${string}`, stringToHex(subject, { size: 32 }), BigInt(number), BigInt(attempt)]));
}

/** The members that a post names at its end, each in two bytes, with their count; `undefined` when it is not of this form. */
export function names(payload: Uint8Array): Set<number> | undefined {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload.length < 2) return undefined;
  const count = view.getUint16(payload.length - 2);
  const at = payload.length - 2 - 2 * count;
  if (at < 0) return undefined;
  return new Set(Array.from({ length: count }, (_, nth) => view.getUint16(at + 2 * nth)));
}

/** Members that more others name than could all be lying, with how many name them: by each one's last commitments or approval. */
export function bySigners(board: readonly Post[], members: number, threshold: number): Map<number, number> {
  const named = new Map<number, Set<number>>();
  for (const { kind, member, payload } of board) {
    const told = kind === KIND.approval || kind === KIND.commitments ? names(payload) : undefined;
    if (told) named.set(member, told);
  }
  const mayMiss = Math.max(0, members - threshold);
  const by = new Map<number, number>();
  for (const [namer, told] of named) for (const name of told) if (name !== namer) by.set(name, (by.get(name) ?? 0) + 1);
  const late = [...by].filter(([, count]) => count > mayMiss).sort(([a, most], [b, more]) => more - most || a - b);
  return new Map(late.slice(0, mayMiss).sort(([a], [b]) => a - b));
}

/**
 * Members that were at none of the late gatherings to which too few came, with the last of these. A gathering counts if more members came than could all be
 * lying: so nobody is named for not taking part in junk.
 */
export function byGatherings(gatherings: readonly Gathering[], members: number, threshold: number): Map<number, string> {
  const mayLie = Math.max(0, members - threshold);
  const late = gatherings.filter(({ age, there }) => age >= LATE_AFTER_S && there.size > mayLie && there.size < threshold);
  const last = late.at(-1);
  if (!last) return new Map();
  const text = `${last.what} (${last.there.size} of ${threshold} have)`;
  const missing = numbers(members).filter((member) => !late.some(({ there }) => there.has(member)));
  return new Map(missing.map((member) => [member, text]));
}

/** Members whose part in making the key of an epoch is missing; `confirmed` have confirmed it. */
export function byKeyGeneration(board: readonly Post[], network: string, epoch: number, members: number, confirmed: ReadonlySet<number>): { step: Step; missing: number[] } {
  const posted = (attempt: number, kind: number) => {
    const wanted = session(network, "keygen", epoch, attempt);
    return new Set(board.filter((post) => post.session === wanted && post.kind === kind).map((post) => post.member));
  };
  // A complaint ends an attempt.
  let attempt = 0;
  while (attempt < MAX_ATTEMPTS && posted(attempt, KIND.dkgComplaint).size) attempt++;
  const absent = (there: ReadonlySet<number>) => numbers(members).filter((member) => !there.has(member));
  const first = absent(posted(attempt, KIND.dkgRound1));
  if (first.length) return { step: "first part of the key", missing: first };
  const second = absent(posted(attempt, KIND.dkgRound2));
  if (second.length) return { step: "second part of the key", missing: second };
  return { step: "confirmation of the key", missing: absent(confirmed) };
}

function numbers(members: number): number[] {
  return Array.from({ length: Math.min(members, 1_000) }, (_, at) => at + 1);
}
