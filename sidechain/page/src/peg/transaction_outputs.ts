// Amounts of a Bitcoin transaction's outputs, of the bytes without witness that the ledger keeps. Pure, and bounded by the bytes.
import { bytesOf } from "../bitcoin/bytes.ts";

/** In their order; `undefined`: these bytes are no transaction. */
export function outputAmounts(hex: string): bigint[] | undefined {
  const bytes = bytesOf(hex.replace(/^0x/, ""));
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer);
  let at = 4;
  try {
    const count = (): number => {
      const first = view.getUint8(at++);
      if (first < 0xfd) return first;
      const size = { 0xfd: 2, 0xfe: 4, 0xff: 8 }[first] as number;
      const number = size === 2 ? view.getUint16(at, true) : size === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
      at += size;
      return number;
    };
    const skip = (length: number) => {
      at += length;
      if (at > bytes.length) throw new RangeError("beyond the end");
    };
    for (let inputs = count(); inputs > 0; inputs--) {
      skip(36);
      skip(count());
      skip(4);
    }
    const amounts: bigint[] = [];
    for (let outputs = count(); outputs > 0; outputs--) {
      amounts.push(view.getBigUint64(at, true));
      skip(8);
      skip(count());
    }
    return at + 4 === bytes.length ? amounts : undefined;
  } catch {
    return undefined;
  }
}
