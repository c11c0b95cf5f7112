// Why something is not shown by its evidence.

/** What a node or a file says is not proven: it is wrong, of another network, or of another version of this program. */
export class NotProven extends Error {
  override name = "NotProven";
}

/** Ends with why, unless something holds. */
export function require(holds: boolean, why: string): asserts holds {
  if (!holds) throw new NotProven(why);
}
