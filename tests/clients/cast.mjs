// cast (Foundry) against a node: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node cast.mjs`
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assert, bridge, bytecode, key, run, url } from './steps.mjs';

const program = fileURLToPath(new URL('node_modules/.bin/cast', import.meta.url));
const cast = (...parameters) => {
  const { stdout, stderr, status } = spawnSync(program, parameters, { encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) throw Object.assign(new Error(stderr), { stderr });
  return stdout.trim();
};
const ask = (command, ...parameters) => cast(command, ...parameters, '--rpc-url', url);
const send = (...parameters) => JSON.parse(cast('send', '--json', '--rpc-url', url, '--private-key', key, ...parameters));
/** What a command that fails writes. */
const failure = (command) => {
  try {
    command();
  } catch (error) {
    return String(error.stderr);
  }
  return assert.fail('it did not fail');
};

const sender = cast('wallet', 'address', '--private-key', key);
const stranger = JSON.parse(cast('wallet', 'new', '--json'))[0].address;

let counter;
let deployed;

await run('cast', {
  'the chain is known': () => {
    assert.equal(ask('rpc', 'net_version').replaceAll('"', ''), ask('chain-id'));
    assert.ok(BigInt(ask('balance', sender)) > 0n);
    assert.ok(BigInt(ask('gas-price')) > 0n);
    assert.ok(BigInt(ask('base-fee')) > 0n);
    assert.match(ask('client'), /^causeway\/v/);
  },
  'coins are sent and arrive': () => {
    const receipt = send(stranger, '--value', '12345');
    assert.equal(receipt.status, '0x1');
    assert.equal(ask('balance', stranger), '12345');
    assert.equal(JSON.parse(ask('tx', receipt.transactionHash, '--json')).blockHash, receipt.blockHash);
    assert.equal(JSON.parse(ask('receipt', receipt.transactionHash, '--json')).gasUsed, '0x5208');
  },
  'a contract is deployed': () => {
    deployed = send('--create', bytecode, 'constructor(uint256)', '5');
    counter = deployed.contractAddress;
    assert.equal(ask('call', counter, 'value()(uint256)'), '5');
    assert.ok(ask('code', counter).length > 100);
  },
  'a contract is called and its logs read': () => {
    const receipt = send(counter, 'add(uint256)', '7');
    assert.equal(receipt.logs.length, 1);
    assert.equal(ask('call', counter, 'value()(uint256)'), '12');
    assert.equal(ask('call', counter, 'value()(uint256)', '--block', String(BigInt(deployed.blockNumber))), '5');
    const logs = JSON.parse(ask('logs', 'Counted(address indexed,uint256)', '--address', counter, '--from-block', String(BigInt(deployed.blockNumber)), '--json'));
    assert.equal(logs.length, 1);
    assert.equal(logs[0].transactionHash, receipt.transactionHash);
  },
  'a transaction is run again, here and there': () => {
    const { transactionHash, gasUsed } = send(counter, 'add(uint256)', '0');
    // cast runs it by itself on the state that the node tells it.
    assert.match(ask('run', transactionHash, '--quick'), new RegExp(`Gas used: ${Number(gasUsed)}\\b`));
    const traced = JSON.parse(ask('rpc', 'debug_traceTransaction', transactionHash, '{"tracer":"callTracer"}'));
    assert.equal(traced.gasUsed, gasUsed);
  },
  'legacy transactions work too': () => {
    assert.equal(send(counter, 'add(uint256)', '1', '--legacy').type, '0x0');
    assert.equal(ask('call', counter, 'value()(uint256)'), '13');
  },
  'reverts are told': () => {
    assert.match(failure(() => ask('call', counter, 'fail()')), /as asked/);
    assert.match(failure(() => ask('estimate', counter, 'add(uint256)', '101', '--from', sender)), /revert/);
  },
  'gas is estimated, storage read and proven': () => {
    assert.ok(BigInt(ask('estimate', counter, 'add(uint256)', '1', '--from', sender)) > 21_000n);
    assert.equal(BigInt(ask('storage', counter, '0')), 13n);
    assert.equal(JSON.parse(ask('proof', counter, '0')).storageProof[0].value, '0xd');
    assert.equal(Number(ask('nonce', sender)), Number(ask('nonce', sender, '--block', 'pending')));
  },
  'blocks are read': () => {
    const block = JSON.parse(ask('block', 'latest', '--json'));
    assert.equal(JSON.parse(ask('block', block.hash, '--json')).number, block.number);
    assert.ok(Number(ask('block-number')) >= Number(block.number));
  },
  'the bridge is described': () => {
    assert.equal(JSON.parse(ask('rpc', 'peg_getInfo')).contracts.bridge.toLowerCase(), bridge.toLowerCase());
  },
});
