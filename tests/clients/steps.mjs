// The steps of a client's script: where the node is, who pays, and how the first step that fails ends the script.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export { assert };

const need = (name) => process.env[name] ?? fail(`set ${name}`);

/** HTTP URL of the node; its WebSocket is on the same port. */
export const url = need('CAUSEWAY_RPC');
export const wsUrl = url.replace(/^http/, 'ws');
/** Private key of an account with coins. */
export const key = need('CAUSEWAY_KEY');

export const { abi, bytecode } = JSON.parse(readFileSync(new URL('Counter.json', import.meta.url), 'utf8'));

export const bridge = '0xCA05000000000000000000000000000000000004';

function fail(why) {
  console.error(why);
  process.exit(2);
}

/** Runs the steps in order; the first that fails ends the process with 1. */
export async function run(client, steps) {
  for (const [sentence, step] of Object.entries(steps)) {
    try {
      await step();
      console.log(`${client}: ${sentence}`);
    } catch (error) {
      console.error(`${client}: NOT SO: ${sentence}`);
      console.error(error);
      process.exit(1);
    }
  }
  process.exit(0);
}

/** A promise with its ends, that fails when nothing comes. */
export function expected(what, ms = 20_000) {
  let resolve;
  const promise = new Promise((done, fail) => {
    resolve = done;
    setTimeout(() => fail(new Error(`${what} did not come within ${ms} ms`)), ms).unref?.();
  });
  return { promise, resolve };
}
