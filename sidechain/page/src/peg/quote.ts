// What a deposit and a withdrawal cost now, as a node quotes it. Only the rate is its word: by that and by the rules of the genesis file each charge is
// computed again here, and a node that quotes another is believed nothing.
import { isSound } from "../bitcoin/fee.ts";
import { require } from "../evidence/failure.ts";
import type { Node } from "../node.ts";
import type { Info, Quote } from "./answers.ts";

/** Of a taproot address, as a node assumes where nothing is said. */
const P2TR_BYTES = 34;

/** Throws `NotProven` where its numbers are not what its rate makes. */
export async function askQuote(node: Node, { parameters }: Pick<Info, "parameters">, scriptBytes = P2TR_BYTES): Promise<Quote> {
  const quote = await node.ask<Quote>("peg_quote", scriptBytes, null);
  require(isSound(quote, scriptBytes, parameters), `the node quotes ${shown(quote)}, which no rate makes by the rules of the peg`);
  return quote;
}

const shown = (quote: Quote | null): string => String(JSON.stringify(quote)).slice(0, 300);
