// Reading contracts' storage by slots: where a variable is (layout.ts), and what a slot has of it. The same as contracts/src/storage.rs.
import { type Hex, concat, keccak256, toHex } from "viem";

/** A value within a slot, as Solidity packs it: `size` bytes from `offset` on, counted from the low end. */
export interface Field {
  slot: number;
  offset: number;
  size: number;
}

export function valueOf({ offset, size }: Field, word: bigint): bigint {
  return (word >> BigInt(8 * offset)) & ((1n << BigInt(8 * size)) - 1n);
}

/** Its value in a struct, of which these are the slots in order. */
export function fieldOf(slots: readonly bigint[], field: Field): bigint {
  const word = slots[field.slot];
  if (word === undefined) throw new RangeError(`slot ${field.slot} of ${slots.length}`);
  return valueOf(field, word);
}

export const numberOf = (slots: readonly bigint[], field: Field): number => Number(fieldOf(slots, field));
export const wordOf = (slots: readonly bigint[], field: Field): Hex => word(fieldOf(slots, field));
export const addressOf = (slots: readonly bigint[], field: Field): Hex => toHex(fieldOf(slots, field), { size: 20 });

/** A number of which 0 means none. */
export const referenceOf = (slots: readonly bigint[], field: Field): number | undefined => numberOf(slots, field) || undefined;

/** 32 bytes of a number. */
export const word = (value: bigint): Hex => toHex(value, { size: 32 });

/** The first slot of an entry of the mapping at `slot`. */
export const entry = (slot: bigint, key: Hex): bigint => BigInt(keccak256(concat([key, word(slot)])));

/** The same by a number. */
export const numbered = (slot: bigint, number: number | bigint): bigint => entry(slot, word(BigInt(number)));

/** So many slots from `first` on. */
export const slotsFrom = (first: bigint, count: number): bigint[] => Array.from({ length: count }, (_, place) => BigInt.asUintN(256, first + BigInt(place)));
