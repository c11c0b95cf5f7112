// Secrets at rest, in the program's own format (bridge/src/keystore.rs), so that either opens what the other wrote.
//
//   passphrase --argon2id--> key --XChaCha20-Poly1305--> a JSON file, whose public part is readable and authenticated
//
// A checksum over public and encrypted bytes tells a damaged file from a wrong passphrase. JavaScript cannot wipe strings, and its engine may copy bytes:
// what can be wiped is, as soon as it is not needed, and no secret is ever part of an error.
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { argon2idAsync } from "@noble/hashes/argon2.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesOf, digitsOf, joined, numberBytes } from "./bytes.ts";

/** Cost of guessing a passphrase. */
export interface KdfParams {
  memoryKib: number;
  passes: number;
  lanes: number;
}

/** A keystore file, read but not opened. Bytes are hex digits without `0x`. */
export interface Keystore {
  version: number;
  kind: string;
  public: Record<string, string>;
  kdf: { name: string; params: KdfParams; salt: string };
  cipher: { name: string; nonce: string };
  ciphertext: string;
  checksum: string;
}

export type KeystoreFault = "notAKeystore" | "unsupported" | "kind" | "corrupt" | "wrongPassphrase";

/** Why a keystore does not open; the message is for people, and says what to do. */
export class KeystoreError extends Error {
  override name = "KeystoreError";
  constructor(
    readonly fault: KeystoreFault,
    message: string,
  ) {
    super(message);
  }
}

/** Hears how far it is, from 0 to 1, at each hundredth. */
export type Progress = (part: number) => void;

/** The program's: the second recommendation of RFC 9106 (64 MiB, 3 passes), with one lane. */
export const DEFAULT_KDF: Readonly<KdfParams> = { memoryKib: 64 * 1024, passes: 3, lanes: 1 };

const VERSION = 1;
const KDF = "argon2id";
const CIPHER = "xchacha20poly1305";
/** Most that a file may ask for, as the program has it: one from elsewhere must not exhaust the machine. */
const MOST_MEMORY_KIB = 1024 * 1024;
const MOST_PASSES = 64;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 24;
const CHECKSUM_BYTES = 32;
/** Blocks of argon2 that a lane has at least (RFC 9106, section 3.1). */
const LEAST_BLOCKS = 8;
/** Of one stretch of work, a frame's time: the page draws in between. Where a browser waits 4 ms between stretches (no `scheduler.yield`), that is a fifth of all. */
const STRETCH_MS = 16;
const HUNDRED = 100;

/** Encrypts `secret` under a passphrase; `readable` stays readable. The caller wipes the secret. */
export async function seal(
  kind: string,
  readable: Record<string, string>,
  secret: Uint8Array,
  passphrase: string,
  params: KdfParams,
  progress?: Progress,
): Promise<Keystore> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const keystore: Keystore = {
    version: VERSION,
    kind,
    public: readable,
    kdf: { name: KDF, params: { ...params }, salt: digitsOf(salt) },
    cipher: { name: CIPHER, nonce: digitsOf(nonce) },
    ciphertext: "",
    checksum: "",
  };
  const key = await derived(passphrase, keystore, progress);
  try {
    keystore.ciphertext = digitsOf(xchacha20poly1305(key, nonce, header(keystore)).encrypt(secret));
  } finally {
    key.fill(0);
  }
  keystore.checksum = checksum(keystore);
  return keystore;
}

/** Checks that something is a whole keystore which this page can open. Throws `KeystoreError`. */
export function readKeystore(value: unknown): Keystore {
  const read = shaped(value);
  if (!read) throw new KeystoreError("notAKeystore", "This is no keystore, or a part of it is missing. Take the file from a backup.");
  requireSame("version", read.version, VERSION);
  requireSame("key derivation", read.kdf.name, KDF);
  requireSame("cipher", read.cipher.name, CIPHER);
  if (read.checksum !== checksum(read)) throw new KeystoreError("corrupt", "The file was damaged since it was written: its checksum is wrong. Take it from a backup; no passphrase opens this one.");
  const { memoryKib, passes, lanes } = read.kdf.params;
  const isPossible = passes >= 1 && lanes >= 1 && memoryKib >= LEAST_BLOCKS * lanes && memoryKib <= MOST_MEMORY_KIB && passes <= MOST_PASSES;
  if (!isPossible) throw new KeystoreError("unsupported", `The file asks for ${memoryKib} KiB, ${passes} passes and ${lanes} lanes of argon2id, more than there may be. It is not from this program.`);
  return read;
}

/** The secret; the caller wipes it. Throws `KeystoreError`. */
export async function open(keystore: Keystore, kind: string, passphrase: string, progress?: Progress): Promise<Uint8Array> {
  if (keystore.kind !== kind) throw new KeystoreError("kind", `This file holds “${keystore.kind.slice(0, 40)}”, and “${kind}” is needed. Choose another file.`);
  const key = await derived(passphrase, keystore, progress);
  try {
    return xchacha20poly1305(key, bytes(keystore.cipher.nonce), header(keystore)).decrypt(bytes(keystore.ciphertext));
  } catch {
    throw new KeystoreError("wrongPassphrase", "The passphrase is not the one of this file. The file itself is whole, so try again; nobody can reset it.");
  } finally {
    key.fill(0);
  }
}

async function derived(passphrase: string, { kdf }: Keystore, progress?: Progress): Promise<Uint8Array> {
  const { memoryKib: m, passes: t, lanes: p } = kdf.params;
  const bounds = { dkLen: KEY_BYTES, maxmem: (MOST_MEMORY_KIB + 1) * 1024, asyncTick: STRETCH_MS };
  const typed = utf8(passphrase);
  try {
    return await argon2idAsync(typed, bytes(kdf.salt), { m, t, p, ...bounds, ...(progress && { onProgress: byHundredths(progress) }) });
  } finally {
    typed.fill(0);
  }
}

/** The library tells ten thousand times. */
function byHundredths(progress: Progress): Progress {
  let told = -1;
  return (part) => {
    const now = Math.floor(part * HUNDRED);
    if (now === told) return;
    told = now;
    progress(now / HUNDRED);
  };
}

/** Everything but ciphertext and checksum, with lengths, so that no two headers share their bytes. */
function header({ version, kind, public: readable, kdf, cipher }: Keystore): Uint8Array {
  const { memoryKib, passes, lanes } = kdf.params;
  const numbers = [version, memoryKib, passes, lanes].map((number) => numberBytes(BigInt(number), 4));
  // In the order of their bytes, as the program's map has them.
  const pairs = Object.entries(readable).map((pair) => pair.map(utf8) as [Uint8Array, Uint8Array]);
  pairs.sort(([one], [other]) => order(one, other));
  const texts = [kind, kdf.name, cipher.name].map(utf8).concat(pairs.flat());
  return joined(...numbers, ...texts.flatMap((text) => [numberBytes(BigInt(text.length), 8), text]), bytes(kdf.salt), bytes(cipher.nonce));
}

function checksum(keystore: Keystore): string {
  return digitsOf(sha256(joined(header(keystore), bytes(keystore.ciphertext))));
}

function order(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, at) => byte !== other[at]);
  return at < 0 ? one.length - other.length : (one[at] as number) - (other[at] ?? -1);
}

/** The fields and no others, each of its kind and length. */
function shaped(value: unknown): Keystore | undefined {
  const { version, kind, public: readable, kdf, cipher, ciphertext, checksum: sum } = fields(value, 7);
  const { name: kdfName, params, salt } = fields(kdf, 3);
  const { memoryKib, passes, lanes } = fields(params, 3);
  const { name: cipherName, nonce } = fields(cipher, 2);
  const numbers = [version, memoryKib, passes, lanes];
  if (!numbers.every((number) => typeof number === "number" && Number.isInteger(number) && number >= 0 && number < 2 ** 32)) return undefined;
  if (![kind, kdfName, cipherName].every((text) => typeof text === "string")) return undefined;
  const lengths: [unknown, number?][] = [[salt, SALT_BYTES], [nonce, NONCE_BYTES], [ciphertext], [sum, CHECKSUM_BYTES]];
  if (!lengths.every(([digits, length]) => typeof digits === "string" && isBytes(digits, length))) return undefined;
  if (!isObject(readable) || !Object.values(readable).every((text) => typeof text === "string")) return undefined;
  const lower = (digits: unknown) => (digits as string).toLowerCase();
  return {
    version: version as number,
    kind: kind as string,
    public: readable as Record<string, string>,
    kdf: { name: kdfName as string, params: { memoryKib, passes, lanes } as KdfParams, salt: lower(salt) },
    cipher: { name: cipherName as string, nonce: lower(nonce) },
    ciphertext: lower(ciphertext),
    checksum: lower(sum),
  };
}

function fields(value: unknown, count: number): Record<string, unknown> {
  return isObject(value) && Object.keys(value).length === count ? value : {};
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isBytes(digits: string, length?: number): boolean {
  const read = bytesOf(digits);
  return read !== undefined && (length === undefined || read.length === length);
}

function requireSame(what: string, got: number | string, want: number | string): void {
  if (got !== want) throw new KeystoreError("unsupported", `The keystore has ${what} ${String(got).slice(0, 40)}, and this page reads ${want}. Open it with the version that wrote it.`);
}

function bytes(digits: string): Uint8Array {
  return bytesOf(digits) as Uint8Array;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
