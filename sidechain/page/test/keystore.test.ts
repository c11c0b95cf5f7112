import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type Keystore, KeystoreError, type KeystoreFault, open, readKeystore, seal } from "../src/bitcoin/keystore.ts";

/** Weak on purpose: tests are not about argon2's cost. */
const QUICK = { memoryKib: 64, passes: 1, lanes: 1 };
const KIND = "reclaim key";
const secret = () => new Uint8Array(32).fill(5);
const sealed = (readable: Record<string, string> = { reclaimKey: "ab" }) => seal(KIND, readable, secret(), "correct horse", QUICK);
const copied = (keystore: Keystore) => JSON.parse(JSON.stringify(keystore));

async function fault(act: () => unknown): Promise<KeystoreFault> {
  try {
    await act();
  } catch (error) {
    assert(error instanceof KeystoreError, String(error));
    return error.fault;
  }
  assert.fail("it was taken");
}

test("a secret comes back with its passphrase, and with no other", async () => {
  const read = readKeystore(copied(await sealed()));
  assert.deepEqual(await open(read, KIND, "correct horse"), secret());
  assert.equal(await fault(() => open(read, KIND, "wrong horse")), "wrongPassphrase");
  assert.equal(await fault(() => open(read, "operator", "correct horse")), "kind");
});

test("a fresh keystore has its own salt and nonce, and says how far it is", async () => {
  const [one, other] = [await sealed(), await sealed()];
  assert.notEqual(one.kdf.salt, other.kdf.salt);
  assert.notEqual(one.cipher.nonce, other.cipher.nonce);
  const parts: number[] = [];
  await seal(KIND, {}, secret(), "correct horse", { memoryKib: 512, passes: 2, lanes: 1 }, (part) => parts.push(part));
  assert(parts.length > 10 && parts.length <= 101 && parts.at(-1) === 1 && parts.every((part, at) => at === 0 || part > (parts[at - 1] as number)), String(parts));
});

test("a damaged file is told from a wrong passphrase", async () => {
  const keystore = copied(await sealed());
  const flip = (digits: string) => `${digits[0] === "0" ? "1" : "0"}${digits.slice(1)}`;
  const damaged: [Keystore, KeystoreFault][] = [
    [{ ...keystore, ciphertext: flip(keystore.ciphertext) }, "corrupt"],
    [{ ...keystore, public: { reclaimKey: "ac" } }, "corrupt"],
    [{ ...keystore, kdf: { ...keystore.kdf, salt: flip(keystore.kdf.salt) } }, "corrupt"],
    [{ ...keystore, kdf: { ...keystore.kdf, salt: keystore.kdf.salt.slice(2) } }, "notAKeystore"],
    [{ ...keystore, version: 2 }, "unsupported"],
    [{ ...keystore, cipher: { ...keystore.cipher, name: "aes" } }, "unsupported"],
    [{ ...keystore, kdf: { ...keystore.kdf, name: "scrypt" } }, "unsupported"],
  ];
  for (const [file, why] of damaged) assert.equal(await fault(() => readKeystore(file)), why);
  for (const value of [null, 1, "x", [], {}, { ...keystore, more: 1 }, { ...keystore, version: "1" }, { ...keystore, public: { a: 1 } }, { ...keystore, ciphertext: "zz" }]) {
    assert.equal(await fault(() => readKeystore(value)), "notAKeystore");
  }
});

test("a file cannot ask for all memory, nor for nothing", async () => {
  for (const params of [{ memoryKib: 1024 * 1024 + 1 }, { passes: 65 }, { passes: 0 }, { lanes: 0 }, { memoryKib: 7 }]) {
    const keystore = copied(await sealed());
    Object.assign(keystore.kdf.params, params);
    // With its checksum right, as whoever made the file would have it.
    assert.equal(await fault(() => readKeystore({ ...keystore, checksum: sumOf(keystore) })), "unsupported", JSON.stringify(params));
  }
});

test("whoever makes the checksum anew still cannot change the readable part unseen", async () => {
  const keystore = copied(await sealed());
  keystore.public.reclaimKey = "ac";
  const changed = readKeystore({ ...keystore, checksum: sumOf(keystore) });
  assert.equal(await fault(() => open(changed, KIND, "correct horse")), "wrongPassphrase");
});

test("the readable part is hashed in the order of its bytes, whatever order the file has", async () => {
  const keystore = copied(await sealed({ b: "1", a: "2", "\u{10000}": "3", "\uffff": "4", ab: "5" }));
  const turned = Object.fromEntries(Object.entries(keystore.public).reverse());
  assert.deepEqual(await open(readKeystore({ ...keystore, public: turned }), KIND, "correct horse"), secret());
  assert.equal(keystore.checksum, sumOf(keystore, ["a", "ab", "b", "\uffff", "\u{10000}"]));
});

test("no error shows a passphrase", async () => {
  const read = readKeystore(copied(await sealed()));
  await assert.rejects(open(read, KIND, "a secret of mine"), (error: Error) => !`${error.message}${error.stack}${JSON.stringify(error)}`.includes("of mine"));
});

/** The checksum of bridge/src/keystore.rs, put together apart from the code under test. */
function sumOf(keystore: Keystore, names = Object.keys(keystore.public).sort()): string {
  const u32 = (number: number) => Buffer.from([24, 16, 8, 0].map((bits) => (number >>> bits) & 0xff));
  const text = (value: string) => {
    const bytes = Buffer.from(value, "utf8");
    return Buffer.concat([u32(0), u32(bytes.length), bytes]);
  };
  const { version, kind, kdf, cipher } = keystore;
  const { memoryKib, passes, lanes } = kdf.params;
  const all = Buffer.concat([
    ...[version, memoryKib, passes, lanes].map(u32),
    ...[kind, kdf.name, cipher.name, ...names.flatMap((name) => [name, keystore.public[name] as string])].map(text),
    ...[kdf.salt, cipher.nonce, keystore.ciphertext].map((digits) => Buffer.from(digits, "hex")),
  ]);
  return createHash("sha256").update(all).digest("hex");
}
