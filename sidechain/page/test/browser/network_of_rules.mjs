// A network of its own whose operators agreed on other rules, for what the usual ones let nobody wait for.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary, causeway, networkOf } from "./network.mjs";

const PATIENCE_MS = 240_000;
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

async function until(what, isSo, every = 200) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await pause(every)) if (await isSo()) return;
  throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
}

/** Whether keys and genesis file are made: what `causeway dev` writes last, and then goes on by. */
function isPrepared(folder) {
  try {
    JSON.parse(readFileSync(join(folder, "network.json"), "utf8"));
    return true;
  } catch {
    return false;
  }
}

/** Ends when this program does, however that comes: it reads the standard input that is this one's. */
function begun(folder) {
  const words = ["dev", "--data-dir", folder, "--ports", "free", "--operators", "2", "--block-interval", "1s", "--exit-with-parent"];
  const child = spawn(binary, words, { stdio: ["pipe", "ignore", "ignore"] });
  return { child, ended: new Promise((end) => child.once("exit", end)) };
}

/** `stop` ends it, and takes its folder away. */
export async function startWithRules(rules) {
  const folder = mkdtempSync(join(tmpdir(), "causeway-rules-"));
  // It is stopped before anything runs by its genesis file.
  const first = begun(folder);
  await until("there is a genesis file", () => isPrepared(folder), 10);
  first.child.kill("SIGKILL");
  await first.ended;
  const operators = join(folder, "operators");
  if (readdirSync(operators).some((operator) => existsSync(join(operators, operator, "node")))) throw new Error("a validator runs by the usual rules already");
  const path = join(folder, "genesis.json");
  const file = readFileSync(path, "utf8");
  // By its text: numbers beyond 2^53 are in it.
  const ruled = Object.entries(rules).reduce((text, [rule, value]) => text.replace(new RegExp(`("${rule}": )\\d+`), `$1${value}`), file);
  if (ruled === file) throw new Error(`the genesis file has no ${Object.keys(rules).join(", ")}`);
  writeFileSync(path, ruled);
  const { child, ended } = begun(folder);
  const stop = async () => {
    child.stdin.end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const status = async () => JSON.parse(await causeway("dev", "--data-dir", folder, "status", "--json").catch(() => "{}"));
    await until("the network is ready", async () => {
      if (child.exitCode !== null) throw new Error("the network ended");
      return (await status()).ready;
    });
    const network = networkOf(folder, (await status()).rpc[0]);
    const { parameters } = await network.rpc("peg_getInfo");
    for (const [rule, value] of Object.entries(rules)) if (parameters[rule] !== value) throw new Error(`${rule} is ${parameters[rule]}, and not ${value}`);
    return { ...network, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
