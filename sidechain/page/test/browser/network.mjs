// The network that the page is of, as `causeway dev` runs it: what happens on Bitcoin, and which of its processes live.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);
const env = (name) => process.env[name] ?? fail(`${name} is not set: tests/tests/page.rs runs this`);
const fail = (words) => {
  throw new Error(words);
};

export const binary = env("CAUSEWAY");

/** Two of the developer accounts of `causeway dev`: everybody knows their keys. */
export const KEYS = ["0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80", "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"];

/** What a command prints. */
export async function causeway(...words) {
  const { stdout } = await run(binary, words, { maxBuffer: 1 << 26 });
  return stdout;
}

/** JSON-RPC of a server. */
async function ask(url, headers, question) {
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(question) });
  const { result, error } = await response.json();
  if (error) fail(`${question.method}: ${error.message}`);
  return result;
}

/** The network that `causeway dev` runs in a folder, by the node at a URL, without a slash behind it. */
export function networkOf(folder, url) {
  const dev = (...words) => causeway("dev", "--data-dir", folder, ...words);
  const rpc = (method, ...params) => ask(url, { "content-type": "application/json" }, { jsonrpc: "2.0", id: 1, method, params });
  /** Asks its bitcoind. */
  const bitcoin = async (method, ...params) => {
    const { bitcoin: at, bitcoinCookie } = JSON.parse(await dev("status", "--json"));
    const authorization = `Basic ${Buffer.from(readFileSync(bitcoinCookie)).toString("base64")}`;
    return ask(at, { authorization }, { id: 1, method, params });
  };
  return {
    url,
    genesis: `${folder}/genesis.json`,
    dev,
    rpc,
    bitcoin,
    /** Satoshis of an account, rounded down. */
    balance: async (account) => BigInt(await rpc("eth_getBalance", account, "latest")) / 10_000_000_000n,
    /** Satoshis that an unspent output of a Bitcoin transaction pays to an address; none where none does. */
    paidTo: async (txid, address) => {
      for (let vout = 0; ; vout++) {
        const output = await bitcoin("gettxout", txid, vout);
        if (output?.scriptPubKey.address === address) return BigInt(Math.round(output.value * 1e8));
        if (output === null && vout > 8) return undefined;
      }
    },
    /** While some processes are away; they come back also when what is done meanwhile fails. */
    without: async (names, act) => {
      for (const name of names) await dev("kill", name);
      try {
        return await act();
      } finally {
        for (const name of names) await dev("start", name);
      }
    },
  };
}

/** The one that most tests are of. */
export const { url, genesis, dev, rpc, balance, paidTo, without } = networkOf(env("NETWORK"), env("PAGE").replace(/\/$/, ""));
