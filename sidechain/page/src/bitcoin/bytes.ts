// Bytes as the files and answers of this program have them.

const HEX = /^(?:[0-9a-f]{2})*$/i;

/** Digits without `0x`, in pairs; nothing else is read. */
export function bytesOf(digits: string): Uint8Array | undefined {
  if (!HEX.test(digits)) return undefined;
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) => Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16));
}

export function digitsOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Big endian, in so many bytes. */
export function numberBytes(number: bigint, length: number): Uint8Array {
  if (number < 0n || number >> BigInt(8 * length)) throw new RangeError(`${number} does not fit ${length} bytes`);
  return Uint8Array.from({ length }, (_, at) => Number((number >> BigInt(8 * (length - 1 - at))) & 0xffn));
}
