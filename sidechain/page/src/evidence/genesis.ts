// The genesis file: all that the operators agreed on, and the keys by which everything else is checked.
import { type Hex, concat, isHex, keccak256, size, stringToHex, toHex } from "viem";
import { NotProven, require } from "./failure.ts";

/** In front of the file's content, so that the hash is of nothing else (sidechain/src/genesis/identity.rs). */
const DOMAIN = "causeway/network\n";
/** A file of a hundred members has some 100 kB. */
const MOST_CHARACTERS = 4_000_000;

export interface Genesis {
  /** Hash of all that the operators agreed on (ADR 23). */
  networkId: Hex;
  chainId: number;
  bitcoinNetwork: string;
  /** Compressed points of G2, in the order of the validators' p2p keys: so certificates count them. */
  validatorKeys: Hex[];
  members: { name: string; account: Hex }[];
  /** So many members sign together. */
  threshold: number;
  /** Bitcoin blocks after which an unswept deposit is its owner's again: a deposit address commits to it. */
  reclaimDelay: number;
  /** All rules of the peg, by their names: fees, limits, depths. They never change. */
  rules: Readonly<Record<string, unknown>>;
}

/** Reads a genesis file. Throws `NotProven` where it is none. */
export function readGenesis(text: string): Genesis {
  require(text.length <= MOST_CHARACTERS, `a genesis file has at most ${MOST_CHARACTERS} characters, this has ${text.length}`);
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (error) {
    throw new NotProven(`this is no genesis file: ${String(error)}`, { cause: error });
  }
  const federation = object(object(file, "the file").federation, "federation");
  const members = list(federation.members, "federation.members").map((member) => {
    const { name, account, validatorKey, p2pKey } = object(member, "a member");
    return { name: string(name, "name"), account: hex(account, 20, "account"), validatorKey: hex(validatorKey, 96, "validatorKey"), p2pKey: hex(p2pKey, 32, "p2pKey") };
  });
  const count = federation.validators === undefined ? members.length : Number(federation.validators);
  require(Number.isInteger(count) && count >= 1 && count <= members.length, "the genesis file names no validators");
  const validators = members.slice(0, count).sort((a, b) => (a.p2pKey < b.p2pKey ? -1 : 1));
  const { chainId, bitcoin, bridge } = object(file, "the file");
  const rules = object(bridge, "bridge");
  const reclaimDelay = Number(rules.reclaimDelay);
  require(Number.isInteger(reclaimDelay) && reclaimDelay > 0 && reclaimDelay < 2 ** 16, "the genesis file names no delay for taking deposits back");
  return {
    networkId: keccak256(concat([stringToHex(DOMAIN), stringToHex(withoutSpaces(text))])),
    chainId: Number(chainId),
    bitcoinNetwork: string(object(bitcoin, "bitcoin").network, "bitcoin.network"),
    validatorKeys: validators.map(({ validatorKey }) => validatorKey),
    members: members.map(({ name, account }) => ({ name, account })),
    threshold: Number(federation.threshold),
    reclaimDelay,
    rules,
  };
}

/** That a node names the network of its genesis file. A wallet signs for the chain that is named, so on another one the coins of that one would be sent. */
export function requireSameNetwork(named: Pick<Genesis, "chainId" | "bitcoinNetwork"> & { networkId: string }, { networkId, chainId, bitcoinNetwork }: Genesis): void {
  require(named.networkId === networkId, `the node is of network ${named.networkId}, and its genesis file of ${networkId}`);
  require(named.chainId === chainId, `the node says that its chain id is ${named.chainId}, and its genesis file says ${chainId}`);
  require(named.bitcoinNetwork === bitcoinNetwork, `the node says that it is on Bitcoin's ${named.bitcoinNetwork}, and its genesis file says ${bitcoinNetwork}`);
}

/** That a node names the members of its genesis file, who never change, and how many of them sign together. */
export function requireSameFederation({ members, threshold }: { members: readonly { index: number; name: string; account: string }[]; threshold: number }, genesis: Pick<Genesis, "members" | "threshold">): void {
  require(threshold === genesis.threshold, `the node says that ${shown(threshold)} members sign together, and its genesis file says ${genesis.threshold}`);
  require(Array.isArray(members) && members.length === genesis.members.length, `the node names ${members?.length} members, and its genesis file ${genesis.members.length}`);
  genesis.members.forEach(({ name, account }, at) => {
    const told = members[at];
    const isIt = told?.index === at + 1 && told.name === name && isSame(told.account, account);
    require(isIt, `the node says that member ${at + 1} is ${shown(told)}, and its genesis file says ${shown({ name, account })}`);
  });
}

/** That a node names the rules of its genesis file: what a charge is, what is refused, and when money is its owner's again. */
export function requireSameRules(named: object, { rules }: Pick<Genesis, "rules">): void {
  const told = named as Record<string, unknown>;
  for (const [rule, value] of Object.entries(rules)) {
    require(isSame(told[rule], value), `the node says that ${rule} is ${shown(told[rule])}, and its genesis file says ${shown(value)}`);
  }
}

/** Addresses are the same in whatever capitals. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one === "string" && typeof other === "string") return one.toLowerCase() === other.toLowerCase();
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return one === other;
  const [left, right] = [one as Record<string, unknown>, other as Record<string, unknown>];
  const keys = Object.keys(right);
  return Array.isArray(one) === Array.isArray(other) && Object.keys(left).length === keys.length && keys.every((key) => isSame(left[key], right[key]));
}

const shown = (value: unknown): string => String(JSON.stringify(value)).slice(0, 200);

/** JSON without white space between its parts. Parsing and writing it again would round numbers beyond 2^53. */
function withoutSpaces(json: string): string {
  return json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
}

function object(value: unknown, what: string): Record<string, unknown> {
  require(typeof value === "object" && value !== null && !Array.isArray(value), `this is no genesis file: ${what} is not there`);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string): unknown[] {
  require(Array.isArray(value), `this is no genesis file: ${what} is no list`);
  return value;
}

function string(value: unknown, what: string): string {
  require(typeof value === "string", `this is no genesis file: ${what} is no text`);
  return value;
}

function hex(value: unknown, bytes: number, what: string): Hex {
  const text = string(value, what).toLowerCase();
  require(isHex(text) && size(text) === bytes, `this is no genesis file: ${what} is not of ${bytes} bytes`);
  return toHex(BigInt(text), { size: bytes });
}
