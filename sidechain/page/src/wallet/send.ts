// A call of the ledger by the owner's wallet: tried first, so that what would be refused is told before anything is signed; sent once; waited for.
import { type Hex, toHex } from "viem";
import { type Argument, readError } from "../abi/decode.ts";
import type { Context } from "../app/view.ts";
import { NodeError } from "../node.ts";
import type { Call } from "./wallet.ts";

/** The contract would refuse it; its name is the error's in the ABI, under which its page is found. */
export class Reverts extends Error {
  override name = "Reverts";
  constructor(
    readonly error: string,
    readonly args: readonly Argument[],
  ) {
    super(`the ledger would refuse it: ${error}`);
  }
}

const REVERTED = 3;
/** Of what the estimate says, for what changes until it is carried out. */
const MORE_GAS = 5n;
const WAIT_MS = 500;

/** Gas for a call, with some more. Throws `Reverts`, or what the node says. */
export async function tried({ node }: Context, call: Omit<Call, "gas">): Promise<bigint> {
  try {
    const gas = BigInt(await node.ask<Hex>("eth_estimateGas", { from: call.from, to: call.to, data: call.data, value: toHex(call.value) }));
    return gas + gas / MORE_GAS;
  } catch (error) {
    const read = error instanceof NodeError && error.code === REVERTED ? readError(String(error.data)) : undefined;
    throw read ? new Reverts(read.name, read.args) : error;
  }
}

export interface Receipt {
  status: Hex;
  blockNumber: Hex;
  gasUsed: Hex;
  logs: { address: Hex; topics: Hex[]; data: Hex }[];
}

/** Its receipt, when it is in a block; so it is final. Ends when `isLeft` says that nobody waits any more. */
export async function included({ node }: Context, hash: Hex, isLeft: () => boolean): Promise<Receipt | undefined> {
  while (!isLeft()) {
    // A node that is away comes back: what was sent is sent.
    const receipt = await node.ask<Receipt | null>("eth_getTransactionReceipt", hash).catch(() => null);
    if (receipt) return receipt;
    await new Promise((wake) => setTimeout(wake, WAIT_MS));
  }
  return undefined;
}
