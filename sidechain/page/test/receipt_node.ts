// A node for tests that knows one block: the one of tests/data/receipts, whose header, proofs and transactions a real network made.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Finality } from "../src/evidence/certificate.ts";
import { type Genesis, readGenesis } from "../src/evidence/genesis.ts";
import { verifyReceipt } from "../src/evidence/receipt.ts";
import type { AccountAnswer } from "../src/evidence/trie.ts";
import type { Node } from "../src/node.ts";

const read = (name: string) => readFileSync(new URL(`../../../../../tests/data/receipts/${name}.json`, import.meta.url), "utf8");

export const genesis = readGenesis(read("genesis"));
export const finality = JSON.parse(read("reserves")).finality as Finality;

const receipts = ["reserves", "withdrawal", "deposit"].map((name) => JSON.parse(read(name)) as { finality: Finality; proofs: AccountAnswer[]; about: { transactions: `0x${string}`[] } });
for (const receipt of receipts) assert.equal(receipt.finality.hash, finality.hash, "the receipts are of one block");
const bytes = receipts[0]?.about.transactions ?? [];

const shown = verifyReceipt(read("reserves"), genesis);
assert.ok(shown.kind === "reserves");
export const reserves = shown;

/** What was asked of it, by the method. */
export interface Asked extends Node {
  asked: string[];
}

type Answers = Record<string, (...params: never[]) => unknown>;

function proofOf(account: string, keys: string[]): AccountAnswer {
  const all = receipts.flatMap(({ proofs }) => proofs).filter(({ address }) => address === account);
  const slots = all.flatMap(({ storageProof }) => storageProof);
  const storageProof = keys.map((key) => slots.find((slot) => BigInt(slot.key) === BigInt(key)) ?? assert.fail(`no receipt has slot ${key} of ${account}`));
  return { ...(all[0] as AccountAnswer), storageProof };
}

/** Its vault transactions' bytes, by their numbers from 1 on. */
export const transactionOf = (number: number): string => bytes[number - 1] ?? assert.fail(`there is no vault transaction ${number}`);

const HONEST: Answers = {
  peg_getFinality: () => finality,
  eth_getProof: proofOf,
  peg_getVault: () => ({ outputs: reserves.outputs.map(({ amountSat, ...output }) => ({ ...output, amountSat: Number(amountSat), rooted: true })), pending: [], lookedFrom: 1 }),
  peg_getVaultTransaction: (number: number) => ({ number, transaction: transactionOf(number) }),
};

/** A node that answers so, but for what is given. */
export function receiptNode(otherwise: Answers = {}): Asked {
  const asked: string[] = [];
  const ask = async (method: string, ...params: unknown[]): Promise<unknown> => {
    asked.push(method);
    const answer = (otherwise[method] ?? HONEST[method]) as ((...params: unknown[]) => unknown) | undefined;
    return answer ? answer(...params) : assert.fail(`${method} is not known here`);
  };
  return { ask, asked } as unknown as Asked;
}

/** The same genesis file, and how often a certificate was checked by its keys. */
export function counted(): { genesis: Genesis; checks: () => number } {
  let checks = 0;
  const watched = {
    ...genesis,
    get validatorKeys() {
      checks += 1;
      return genesis.validatorKeys;
    },
  };
  return { genesis: watched, checks: () => checks };
}
