// forge (Foundry) against a node: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node forge.mjs`
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPublicClient, http, parseAbi } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { assert, key, run, url } from './steps.mjs';

const program = fileURLToPath(new URL('node_modules/.bin/forge', import.meta.url));
const made = mkdtempSync(join(tmpdir(), 'forge-'));
process.on('exit', () => rmSync(made, { recursive: true }));

const settings = {
  FOUNDRY_OUT: join(made, 'out'),
  FOUNDRY_CACHE_PATH: join(made, 'cache'),
  FOUNDRY_BROADCAST: join(made, 'broadcast'),
  FOUNDRY_DISABLE_NIGHTLY_WARNING: '1',
};
const forge = (command, ...parameters) => {
  const options = { encoding: 'utf8', timeout: 120_000, env: { ...process.env, ...settings }, cwd: fileURLToPath(new URL('.', import.meta.url)) };
  const { stdout, stderr, status } = spawnSync(program, [command, '--rpc-url', url, '--private-key', key, ...parameters], options);
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  return stdout;
};

const client = createPublicClient({ transport: http(url) });
const me = privateKeyToAccount(key).address;
const read = (address, signature, ...args) =>
  client.readContract({ address, abi: parseAbi([`function ${signature}`]), functionName: signature.split('(')[0], args });

await run('forge', {
  'forge create deploys': async () => {
    const answer = forge('create', 'openzeppelin/contracts/OpenZeppelin.sol:Law', '--broadcast', '--json', '--constructor-args', me);
    const { deployedTo, transactionHash } = JSON.parse(answer.slice(answer.indexOf('{')));
    assert.equal(await read(deployedTo, 'owner() view returns (address)'), me);
    assert.equal((await client.getTransactionReceipt({ hash: transactionHash })).status, 'success');
  },
  'forge script --broadcast deploys, with a salt too': async () => {
    forge('script', 'openzeppelin/script/Deploy.s.sol', '--broadcast', '--non-interactive');
    const chainId = await client.getChainId();
    const kept = JSON.parse(readFileSync(join(settings.FOUNDRY_BROADCAST, 'Deploy.s.sol', String(chainId), 'run-latest.json'), 'utf8'));
    assert.ok(kept.receipts.length >= 4 && kept.receipts.every(({ status }) => status === '0x1'));
    const created = Object.fromEntries(kept.transactions.map(({ contractName, contractAddress }) => [contractName, contractAddress]));
    assert.equal(await read(created.BoxProxy, 'value() view returns (uint256)'), 5n);
    assert.equal(await read(created.Shares, 'balanceOf(address) view returns (uint256)', '0x000000000000000000000000000000000000bEEF'), 3n);
    const salted = kept.transactions.find(({ contractName }) => contractName === 'Box');
    assert.equal(salted.transactionType, 'CREATE2');
  },
});
