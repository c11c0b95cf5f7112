// Bitcoin addresses to output scripts and back, strictly: each fault has a sentence of its own, since a wrong address is money lost.
//
// bech32 (BIP173) is of witness version 0, bech32m (BIP350) of all later ones, base58check of P2PKH and P2SH.
import { sha256 } from "@noble/hashes/sha2.js";
import { base58, bech32, bech32m, createBase58check } from "@scure/base";
import type { BitcoinNetwork } from "../peg/answers.ts";
import { type Payee, type Program, payeeOf, programOf, scriptOf } from "./script.ts";

export type AddressFault =
  | "empty"
  /** Too long for any address. */
  | "long"
  | "case"
  | "letters"
  | "checksum"
  /** bech32 where the version wants bech32m, or the other way round. */
  | "encoding"
  | "network"
  | "version"
  | "length"
  | "padding"
  /** A private key. */
  | "secret"
  /** An address, but nothing that the bridge pays. */
  | "unpaid";

/** Why something is no address that can be paid here; the message is for people. */
export class AddressError extends Error {
  override name = "AddressError";
  constructor(
    readonly fault: AddressFault,
    message: string,
  ) {
    super(message);
  }
}

/** What begins a witness address, and the version bytes of the two old kinds. */
const PREFIX: Record<BitcoinNetwork, string> = { mainnet: "bc", testnet4: "tb", signet: "tb", regtest: "bcrt" };
const KEY_HASH: Record<BitcoinNetwork, number> = { mainnet: 0x00, testnet4: 0x6f, signet: 0x6f, regtest: 0x6f };
const SCRIPT_HASH: Record<BitcoinNetwork, number> = { mainnet: 0x05, testnet4: 0xc4, signet: 0xc4, regtest: 0xc4 };
/** The version bytes of the wallet import format, on mainnet and elsewhere. */
const PRIVATE_KEY = [0x80, 0xef];
/** As people know the networks whose addresses begin so: testnet4 and signet share theirs. */
const NAMES = new Map([["bc", "mainnet"], ["tb", "testnet4 or signet"], ["bcrt", "regtest"]]);

/** BIP173: no address is longer. */
const MOST_CHARACTERS = 90;
const CHECKSUM_CHARACTERS = 6;
const BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const HASH_BYTES = 20;
const AGAIN = "Copy the whole address again.";

const base58check = createBase58check(sha256);

/** What the bridge pays for an address of this network. Throws `AddressError`. */
export function payeeOfAddress(address: string, network: BitcoinNetwork): Payee {
  const script = scriptOfAddress(address, network);
  const payee = payeeOf(script);
  if (payee) return payee;
  const { version, bytes } = programOf(script) as Program;
  throw new AddressError("unpaid", `The bridge does not pay this kind of address (witness version ${version} with ${bytes.length} bytes): bitcoin nodes do not relay it, or anybody could take what is paid to it. Use another kind.`);
}

/** The output script of an address of this network, whether the bridge pays it or not. Throws `AddressError`. */
export function scriptOfAddress(address: string, network: BitcoinNetwork): Uint8Array {
  if (!address) throw new AddressError("empty", "There is no address yet.");
  if (address.length > MOST_CHARACTERS) throw new AddressError("long", `This has ${address.length} characters; no address has more than ${MOST_CHARACTERS}. Enter one address and nothing else.`);
  const lower = address.toLowerCase();
  const isWitness = isKnown(lower) || (/^[a-z]{2,}1/.test(lower) && !isBase58(address));
  return scriptOf(isWitness ? witness(address, network) : legacy(address, network));
}

/** The address of a script on this network; `undefined`: it has none. */
export function addressOfScript(script: Uint8Array, network: BitcoinNetwork): string | undefined {
  const program = programOf(script);
  if (!program) return undefined;
  const { kind, version, bytes } = program;
  if (kind !== "witness") return base58check.encode(Uint8Array.of((kind === "keyHash" ? KEY_HASH : SCRIPT_HASH)[network], ...bytes));
  const code = version ? bech32m : bech32;
  return code.encode(PREFIX[network], [version, ...code.toWords(bytes)]);
}

function isKnown(lower: string): boolean {
  return [...NAMES.keys()].some((prefix) => lower.startsWith(`${prefix}1`));
}

function isBase58(text: string): boolean {
  return [...text].every((letter) => BASE58.includes(letter));
}

function witness(address: string, network: BitcoinNetwork): Program {
  const lower = address.toLowerCase();
  if (address !== lower && address !== address.toUpperCase()) {
    throw new AddressError("case", `This address mixes small and capital letters, so it was changed on its way. ${AGAIN}`);
  }
  const separator = lower.lastIndexOf("1");
  const [prefix, data] = [lower.slice(0, separator), lower.slice(separator + 1)];
  checkLetters(data, BECH32, separator + 1);
  const { words, isModified } = checked(lower);
  if (prefix !== PREFIX[network]) throw wrongNetwork(network, `${prefix}1`, NAMES.get(prefix));

  const [version, ...rest] = words;
  if (version === undefined) throw new AddressError("length", `This address pays to nothing: it ends behind its prefix. ${AGAIN}`);
  if (version > 16) throw new AddressError("version", `This address has witness version ${version}; there are 0 to 16. ${AGAIN}`);
  if (isModified !== version > 0) {
    const [seen, wanted] = isModified ? ["bech32m", "bech32"] : ["bech32", "bech32m"];
    throw new AddressError("encoding", `This address of witness version ${version} has a checksum of ${seen}, and ${wanted} is right: the program that made it is old or wrong. Ask the payee for another address.`);
  }
  const bytes = bech32.fromWordsUnsafe(rest);
  if (!bytes) throw new AddressError("padding", `This address ends in bits that belong to nothing. ${AGAIN}`);
  checkLength(version, bytes.length);
  return { kind: "witness", version, bytes };
}

function checkLetters(text: string, alphabet: string, offset: number): void {
  const at = [...text].findIndex((letter) => !alphabet.includes(letter));
  if (at < 0) return;
  const letter = [...text][at] as string;
  const seen = /\s/.test(letter) ? "a space" : `“${letter}”`;
  throw new AddressError("letters", `No address of this kind has ${seen}, and this has it as character ${offset + at + 1}. ${AGAIN}`);
}

/** The data, and by which of the two checksums it is right. */
function checked(lower: string): { words: number[]; isModified: boolean } {
  for (const isModified of [true, false]) {
    const decoded = (isModified ? bech32m : bech32).decodeUnsafe(lower, MOST_CHARACTERS);
    if (decoded) return { words: decoded.words, isModified };
  }
  const data = lower.length - lower.lastIndexOf("1") - 1;
  const seen = data < CHECKSUM_CHARACTERS ? "It is cut off" : "The checksum of this address is wrong: a character is missing, or another than it was";
  throw new AddressError("checksum", `${seen}. ${AGAIN}`);
}

function checkLength(version: number, length: number): void {
  if (length < 2 || length > 40) throw new AddressError("length", `This address pays to ${length} bytes; 2 to 40 are possible. Ask the payee for another address.`);
  if (version === 0 && length !== 20 && length !== 32) {
    throw new AddressError("length", `This address of witness version 0 pays to ${length} bytes; 20 or 32 are possible. Ask the payee for another address.`);
  }
}

function legacy(address: string, network: BitcoinNetwork): Program {
  checkLetters(address, BASE58, 0);
  let payload: Uint8Array;
  try {
    payload = base58check.decode(address);
  } catch {
    const { length } = base58.decode(address);
    throw length === 1 + HASH_BYTES + 4
      ? new AddressError("checksum", `The checksum of this address is wrong: a character is another than it was. ${AGAIN}`)
      : new AddressError("length", `This is no address: it has ${length} bytes, and one of its kind has ${1 + HASH_BYTES + 4}. ${AGAIN}`);
  }
  const [version = -1, ...hash] = payload;
  if (PRIVATE_KEY.includes(version) && hash.length > HASH_BYTES) {
    throw new AddressError("secret", "This is a private key, not an address. Whoever sees it can take your money: enter it nowhere, and move the money to a new key if others may have seen it.");
  }
  if (hash.length !== HASH_BYTES) throw new AddressError("length", `This address pays to ${hash.length} bytes; ${HASH_BYTES} are possible. Ask the payee for another address.`);
  const bytes = Uint8Array.from(hash);
  if (version === KEY_HASH[network]) return { kind: "keyHash", version: 0, bytes };
  if (version === SCRIPT_HASH[network]) return { kind: "scriptHash", version: 0, bytes };
  if (version === KEY_HASH.mainnet || version === SCRIPT_HASH.mainnet) throw wrongNetwork(network, address.slice(0, 1), "mainnet");
  if (version === KEY_HASH.regtest || version === SCRIPT_HASH.regtest) throw wrongNetwork(network, address.slice(0, 1), "a test network");
  throw new AddressError("version", `This is no address of Bitcoin: its version is ${version}. Ask the payee for a Bitcoin address.`);
}

function wrongNetwork(network: BitcoinNetwork, beginning: string, of: string | undefined): AddressError {
  const seen = of ? `an address of ${of}` : "no address of Bitcoin";
  return new AddressError("network", `This is ${seen}: it begins with ${beginning}. This sidechain is on ${network}, where new addresses begin with ${PREFIX[network]}1. Ask the payee for one of those.`);
}
