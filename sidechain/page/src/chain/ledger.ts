// What contracts answer that no `peg_*` method says.
import { toFunctionSelector } from "viem";
import type { Node } from "../node.ts";
import type { Info } from "../peg/answers.ts";
import { addressWord, wei } from "./answers.ts";

async function ofAccount(node: Node, contract: string, signature: string, account: string): Promise<bigint> {
  const data = `${toFunctionSelector(signature)}${addressWord(account).slice(2)}`;
  return wei(await node.ask<string>("eth_call", { to: contract, data }, "latest"));
}

/** Satoshis that wait in the bridge for an account. */
export const claimable = (node: Node, { contracts }: Info, account: string): Promise<bigint> => ofAccount(node, contracts.bridge, "claimable(address)", account);

/** Wrapped coins of an account, in wei. */
export const wrapped = (node: Node, { contracts }: Info, account: string): Promise<bigint> => ofAccount(node, contracts.wrappedBtc, "balanceOf(address)", account);
