// Why something is not shown by its evidence.

/** What a node or a file says is not proven: it is wrong, of another network, or of another version of this program. */
export class NotProven extends Error {
  override name = "NotProven";
}

/** Why, in words: also of an answer that is of another shape than anybody expects. */
export function reasonOf(error: unknown): string {
  if (error instanceof NotProven) return error.message;
  return `this cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

/** Ends with why, unless something holds. */
export function require(holds: boolean, why: string): asserts holds {
  if (!holds) throw new NotProven(why);
}
