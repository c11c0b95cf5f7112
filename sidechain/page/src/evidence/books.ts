// The books as a node tells them, beside what it can prove of them.
import { WEI_PER_SAT } from "../amount.ts";
import type { Books as Told } from "../peg/answers.ts";
import type { Books } from "./entries.ts";

/** The books with the coins outside among them: what `peg_getInfo` tells, exactly. */
export type Standing = Record<keyof Told, bigint>;

/** A number of the books that is told otherwise than it is. */
export interface Difference {
  book: keyof Told;
  /** None where what is told is no amount. */
  toldSat: bigint | undefined;
  provenSat: bigint;
}

/** What is less than a satoshi of somebody counts as one. */
export const supplySatOf = (supplyWei: bigint): bigint => (supplyWei + WEI_PER_SAT - 1n) / WEI_PER_SAT;

export const standingOf = ({ books, supplyWei }: { books: Books; supplyWei: bigint }): Standing => ({ ...books, supplySat: supplySatOf(supplyWei) });

/** Every number that differs. Of the same block none may. */
export function differences(told: Told, proven: Standing): Difference[] {
  return (Object.keys(proven) as (keyof Told)[]).flatMap((book) => {
    const toldSat = Number.isSafeInteger(told[book]) ? BigInt(told[book]) : undefined;
    return toldSat === proven[book] ? [] : [{ book, toldSat, provenSat: proven[book] }];
  });
}
