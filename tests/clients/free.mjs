// Tools that run a block again or walk all blocks, against a node whose blocks hold members' free calls: cast, anvil, hardhat, viem, ethers.
// `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... CAUSEWAY_SENT='[["0x...", "0x...", "0x..."], ...]' node free.mjs`
//
// Each entry of CAUSEWAY_SENT is signed already: a member's free call, what builds on it, and a user's transfer.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ethers } from 'ethers';
import { createPublicClient, http, keccak256, parseTransaction, recoverTransactionAddress } from 'viem';
import { assert, run, url } from './steps.mjs';

const MOST = 2n ** 64n - 1n;
const program = (name) => fileURLToPath(new URL(`node_modules/.bin/${name}`, import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'free-'));
process.on('exit', () => rmSync(home, { recursive: true }));
// Foundry keeps what it read of a chain by its id, in the home folder.
const options = { encoding: 'utf8', timeout: 60_000, env: { ...process.env, HOME: home } };
const cast = (...parameters) => {
  const { stdout, stderr, status } = spawnSync(program('cast'), [...parameters, '--rpc-url', url], options);
  assert.equal(status, 0, `cast ${parameters.join(' ')}: ${stdout}\n${stderr}`);
  return stdout.trim();
};
const client = (at) => createPublicClient({ transport: http(at) });
const node = client(url);

/** Sends all of an entry at once. */
async function send(entry) {
  const batch = entry.map((raw, id) => ({ jsonrpc: '2.0', id, method: 'eth_sendRawTransaction', params: [raw] }));
  const answers = await (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(batch) })).json();
  assert.ok(answers.every(({ error }) => error === undefined), JSON.stringify(answers));
  const receipts = entry.map((raw) => node.waitForTransactionReceipt({ hash: keccak256(raw), pollingInterval: 50 }));
  return Promise.all(receipts);
}

/** The receipts of the first entry that got into one block: blocks come whenever they come. */
async function inOneBlock() {
  for (const entry of JSON.parse(process.env.CAUSEWAY_SENT)) {
    const receipts = await send(entry);
    if (receipts.every(({ blockNumber }) => blockNumber === receipts[0].blockNumber)) return { receipts, raw: entry };
  }
  return assert.fail('each was split over two blocks');
}

/** Runs anvil until `use` is done with it. */
async function anvil(parameters, use) {
  const child = spawn(program('anvil'), ['--port', '0', '--no-rate-limit', ...parameters], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    let said = '';
    const port = await new Promise((resolve, reject) => {
      const listen = (chunk) => {
        said += chunk;
        const found = /Listening on 127\.0\.0\.1:(\d+)/.exec(said);
        if (found) resolve(found[1]);
      };
      child.stdout.on('data', listen);
      child.stderr.on('data', listen);
      child.on('close', () => reject(new Error(`anvil ended: ${said}`)));
      setTimeout(() => reject(new Error(`anvil does not start: ${said}`)), 30_000).unref();
    });
    await use(client(`http://127.0.0.1:${port}`));
  } finally {
    child.kill('SIGKILL');
  }
}

const { receipts, raw } = await inOneBlock();
const [free, behind, user] = receipts;
const block = await node.getBlock({ blockNumber: free.blockNumber, includeTransactions: true });
const payee = user.to;

await run('free calls', {
  'they are ordinary transactions at no price': async () => {
    assert.equal(free.transactionIndex, 0);
    assert.deepEqual([free.type, free.effectiveGasPrice, free.status], ['eip1559', 0n, 'success']);
    const parsed = parseTransaction(raw[0]);
    assert.deepEqual([parsed.type, parsed.maxFeePerGas, parsed.maxPriorityFeePerGas ?? 0n], ['eip1559', MOST, 0n]);
    assert.equal(await recoverTransactionAddress({ serializedTransaction: raw[0] }), ethers.getAddress(free.from));
    assert.equal(ethers.Transaction.from(raw[0]).hash, free.transactionHash);
    assert.equal(await node.getBalance({ address: free.from }), 0n);
  },
  'cast shows them': () => {
    const shown = JSON.parse(cast('tx', free.transactionHash, '--json'));
    assert.deepEqual([shown.type, BigInt(shown.maxFeePerGas)], ['0x2', MOST]);
    assert.equal(cast('tx', free.transactionHash, '--raw'), raw[0]);
    assert.equal(JSON.parse(cast('receipt', free.transactionHash, '--json')).effectiveGasPrice, '0x0');
    assert.equal(JSON.parse(cast('block', String(free.blockNumber), '--full', '--json')).transactions.length, block.transactions.length);
  },
  'cast runs what stands behind one again, with what it did': () => {
    for (const { transactionHash, gasUsed } of [behind, user]) {
      const told = cast('run', transactionHash);
      assert.match(told, /Transaction successfully executed/);
      assert.match(told, new RegExp(`Gas used: ${gasUsed}\\b`));
    }
  },
  'anvil forks at such a block and goes on from it': async () => {
    await anvil(['--fork-url', url, '--fork-block-number', String(block.number)], async (fork) => {
      assert.equal((await fork.getBlock({ blockNumber: block.number, includeTransactions: true })).transactions.length, block.transactions.length);
      assert.equal((await fork.getTransaction({ hash: free.transactionHash })).maxFeePerGas, MOST);
      assert.equal((await fork.getTransactionReceipt({ hash: free.transactionHash })).effectiveGasPrice, 0n);
      assert.ok((await fork.getBalance({ address: payee })) > 0n);
      const [from] = await fork.request({ method: 'eth_accounts' });
      const hash = await fork.request({ method: 'eth_sendTransaction', params: [{ from, to: payee, value: '0x1' }] });
      // On a busy machine anvil has been seen to leave a transaction in its pool for minutes.
      await fork.request({ method: 'evm_mine', params: [] });
      assert.equal((await fork.waitForTransactionReceipt({ hash, pollingInterval: 50 })).status, 'success');
    });
  },
  'anvil forks at a transaction behind one': async () => {
    await anvil(['--fork-url', url, '--fork-transaction-hash', user.transactionHash], async (fork) => {
      assert.ok((await fork.getBlockNumber()) >= block.number - 1n);
      const [from] = await fork.request({ method: 'eth_accounts' });
      const hash = await fork.request({ method: 'eth_sendTransaction', params: [{ from, to: payee, value: '0x1' }] });
      // On a busy machine anvil has been seen to leave a transaction in its pool for minutes.
      await fork.request({ method: 'evm_mine', params: [] });
      assert.equal((await fork.waitForTransactionReceipt({ hash, pollingInterval: 50 })).status, 'success');
    });
  },
  'hardhat forks at such a block and reads it': async () => {
    process.env.HARDHAT_CONFIG = 'fork.config.cjs';
    process.env.CAUSEWAY_OUT = home;
    process.env.CAUSEWAY_FORK = String(block.number);
    const { network } = createRequire(import.meta.url)('hardhat');
    const ask = (method, params) => network.provider.request({ method, params });
    const shown = await ask('eth_getBlockByNumber', [`0x${block.number.toString(16)}`, true]);
    assert.equal(shown.transactions[0].hash, free.transactionHash);
    assert.equal(BigInt((await ask('eth_getTransactionReceipt', [free.transactionHash])).effectiveGasPrice), 0n);
    assert.ok(BigInt(await ask('eth_getBalance', [payee, 'latest'])) > 0n);
    const [from] = await ask('eth_accounts', []);
    const hash = await ask('eth_sendTransaction', [{ from, to: payee, value: '0x1' }]);
    assert.equal((await ask('eth_getTransactionReceipt', [hash])).status, '0x1');
  },
  'viem and ethers walk all blocks with transactions and receipts': async () => {
    const provider = new ethers.JsonRpcProvider(url, undefined, { cacheTimeout: -1 });
    // viem keeps a number for seconds: one of before the block that is looked for.
    const last = await node.getBlockNumber({ cacheTime: 0 });
    let seen = 0;
    for (let number = 0n; number <= last; number++) {
      const { transactions } = await node.getBlock({ blockNumber: number, includeTransactions: true });
      const also = (await provider.getBlock(Number(number), true)).prefetchedTransactions;
      assert.deepEqual(also.map(({ hash }) => hash), transactions.map(({ hash }) => hash));
      for (const { hash, maxFeePerGas } of transactions) {
        const receipt = await node.getTransactionReceipt({ hash });
        assert.equal((await provider.getTransactionReceipt(hash)).gasPrice, receipt.effectiveGasPrice);
        assert.equal(receipt.effectiveGasPrice === 0n, maxFeePerGas === MOST);
        seen += Number(maxFeePerGas === MOST);
      }
    }
    assert.ok(seen >= 1);
    provider.destroy();
  },
});
