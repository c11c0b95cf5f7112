// Requests that readers look at: a deposit that is minted and a withdrawal that is paid, made by the command line where the network has none.
import { join } from "node:path";
import { causeway, dev, genesis, rpc, url } from "./network.mjs";
import { PAYEE, folder, other, owner } from "./owner.mjs";

/** Nobody's: the generator of the curve (x-only), whose secret everybody knows. */
export const RECLAIM_KEY = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const PAYEE_SCRIPT = "0x0014751e76e8199196d454941c45d1b3a323f1433bd6";
const home = join(folder, "home");
const PATIENCE_MS = 120_000;

/** The owner's newest minted deposit, and their newest withdrawal that is paid to `PAYEE`. */
export async function requests() {
  const deposit = (await minted()) ?? (await payIn());
  const withdrawal = (await paid()) ?? (await takeOut());
  return { deposit, withdrawal };
}

async function minted() {
  const { deposits } = await rpc("peg_getDeposits", { recipient: owner }, null, 20);
  return deposits.find(({ status }) => status === "minted");
}

async function paid() {
  const { withdrawals } = await rpc("peg_getWithdrawals", { script: PAYEE_SCRIPT }, null, 20);
  return withdrawals.find((one) => one.status === "paid" && one.owner.toLowerCase() === owner);
}

async function payIn() {
  const said = await causeway("peg-in", "--no-wait", "--json", "--to", owner, "--reclaim-key", RECLAIM_KEY, "--home", home, "--rpc", url, "--genesis", genesis);
  await dev("pay", JSON.parse(said.split("\n")[0]).address, "0.2 BTC");
  return until("the coins are minted", minted);
}

/** An address of another account's that got two payments, both proven. */
export async function paidTwice() {
  // Another maximum makes another address.
  const most = `${20_000 + (Date.now() % 10_000)} sat`;
  const said = await causeway("peg-in", "--no-wait", "--json", "--to", other, "--max-fee", most, "--reclaim-key", RECLAIM_KEY, "--home", home, "--rpc", url, "--genesis", genesis);
  const { address } = JSON.parse(said.split("\n")[0]);
  for (const amount of ["0.02 BTC", "0.03 BTC"]) await dev("pay", address, amount);
  return until("both payments are proven", async () => {
    const report = await rpc("peg_getDeposit", address);
    return report.deposits.length === 2 && report;
  });
}

async function takeOut() {
  await causeway("peg-out", "--no-wait", "--yes", "--amount", "0.05 BTC", "--to", PAYEE, "--dev-account", "0", "--home", home, "--rpc", url);
  return until("the payout is in a block", paid);
}

async function until(what, ask) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const found = await ask();
    if (found) return found;
    await new Promise((wake) => setTimeout(wake, 300));
  }
  throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
}
