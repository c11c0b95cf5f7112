// ethers v6 against a node: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node ethers.mjs`
import { Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, isError, parseEther, verifyTypedData } from 'ethers';
import { abi, assert, bridge, bytecode, expected, key, run, url, wsUrl } from './steps.mjs';

// Blocks come faster than ethers' cache of answers (250 ms) and its polling (4 s) expect.
const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 100, cacheTimeout: -1 });
const socket = new WebSocketProvider(wsUrl);
const wallet = new Wallet(key, provider);
const stranger = Wallet.createRandom().address;

/** The receipt of what was sent, which comes within half a minute. */
const receiptOf = (sent) => sent.wait(1, 30_000);
/** The code of the error that a refused request is told as. */
const codeOf = (promise) => promise.then(() => 'taken', (error) => error.code);

let counter;
let deployed;

await run('ethers', {
  'coins are sent and arrive': async () => {
    const value = parseEther('0.0001');
    const receipt = await receiptOf(await wallet.sendTransaction({ to: stranger, value }));
    assert.equal(receipt.status, 1);
    assert.equal(await provider.getBalance(stranger), value);
    assert.equal((await provider.getTransaction(receipt.hash)).blockHash, receipt.blockHash);
  },
  'a contract is deployed': async () => {
    counter = await new ContractFactory(abi, bytecode, wallet).deploy(5n);
    deployed = await receiptOf(counter.deploymentTransaction());
    assert.equal(deployed.contractAddress, await counter.getAddress());
    assert.equal(await counter.value(), 5n);
  },
  'a contract is called': async () => {
    assert.equal(await counter.add.staticCall(7n), 12n);
    const receipt = await receiptOf(await counter.add(7n));
    const [event] = receipt.logs;
    assert.equal(event.fragment.name, 'Counted');
    assert.equal(event.args.value, 12n);
    assert.equal(await counter.value(), 12n);
    assert.equal(await counter.value({ blockTag: deployed.blockNumber }), 5n);
  },
  'logs are read, decoded and filtered': async () => {
    const own = await counter.queryFilter(counter.filters.Counted(wallet.address), deployed.blockNumber);
    assert.deepEqual(own.map(({ args }) => args.value), [12n]);
    assert.equal((await counter.queryFilter(counter.filters.Counted(stranger), deployed.blockNumber)).length, 0);
  },
  'reverts come decoded': async () => {
    const custom = await counter.add.staticCall(101n).catch((error) => error);
    assert.ok(isError(custom, 'CALL_EXCEPTION'), String(custom));
    assert.equal(custom.revert.name, 'TooMuch');
    assert.deepEqual([...custom.revert.args], [101n, 100n]);
    const plain = await counter.fail().catch((error) => error);
    assert.equal(plain.reason, 'as asked');
    assert.equal(await codeOf(counter.add(101n)), 'CALL_EXCEPTION');
  },
  'the pending block is one above the latest': async () => {
    const latest = await provider.getBlockNumber();
    const pending = await provider.getBlock('pending');
    assert.ok(pending.number > latest && pending.hash === null, `${pending.number} after ${latest}`);
    assert.equal(await counter.value({ blockTag: 'pending' }), 12n);
  },
  'a developer account sends and signs without a wallet': async () => {
    const signer = await provider.getSigner(0);
    const receipt = await receiptOf(await signer.sendTransaction({ to: stranger, value: 1n }));
    assert.equal(receipt.from, signer.address);
    const types = { Said: [{ name: 'what', type: 'string' }] };
    const signature = await signer.signTypedData({ name: 'Causeway' }, types, { what: 'yes' });
    assert.equal(verifyTypedData({ name: 'Causeway' }, types, { what: 'yes' }, signature), signer.address);
  },
  'transactions are traced': async () => {
    const { structLogs, gas, failed } = await provider.send('debug_traceTransaction', [deployed.hash, {}]);
    assert.deepEqual([BigInt(gas), failed, structLogs.at(-1).op], [deployed.gasUsed, false, 'RETURN']);
    assert.ok(structLogs.some(({ op, storage }) => op === 'SSTORE' && Object.keys(storage).length > 0));
    const traced = await provider.send('debug_traceBlockByNumber', [`0x${deployed.blockNumber.toString(16)}`, { tracer: 'callTracer' }]);
    assert.equal(traced[deployed.index].txHash, deployed.hash);
    const operations = await provider.send('ots_getContractCreator', [await counter.getAddress()]);
    assert.deepEqual(operations, { hash: deployed.hash, creator: wallet.address.toLowerCase() });
  },
  'many transactions are sent at once': async () => {
    const manager = new NonceManager(wallet);
    const add = () => counter.connect(manager).add(1n, { gasLimit: 100_000n });
    const sent = [];
    for (let i = 0; i < 20; i++) sent.push(await add());
    await Promise.all(sent.map(receiptOf));
    assert.equal(await counter.value(), 32n);
  },
  'what cannot be is refused': async () => {
    const nonce = await wallet.getNonce();
    assert.equal(await codeOf(wallet.sendTransaction({ to: stranger, nonce: nonce - 1, gasLimit: 21_000n })), 'NONCE_EXPIRED');
    const poor = Wallet.createRandom(provider);
    assert.equal(await codeOf(poor.sendTransaction({ to: stranger, value: 1n, gasLimit: 21_000n })), 'INSUFFICIENT_FUNDS');
    // A gap holds the first back, so that the second finds it waiting.
    const waiting = { to: stranger, nonce: nonce + 1, gasLimit: 21_000n };
    await wallet.sendTransaction(waiting);
    assert.equal(await codeOf(wallet.sendTransaction({ ...waiting, value: 1n })), 'REPLACEMENT_UNDERPRICED');
    await receiptOf(await wallet.sendTransaction({ to: stranger, nonce, gasLimit: 21_000n }));
  },
  'blocks are read and watched, over HTTP and WebSocket': async () => {
    const block = await provider.getBlock('latest', true);
    assert.equal((await provider.getBlock(block.hash)).number, block.number);
    assert.ok((await provider.getBlock('finalized')).number >= block.number);
    for (const listener of [provider, socket]) {
      const seen = expected('a block');
      await listener.once('block', seen.resolve);
      await wallet.sendTransaction({ to: stranger, value: 1n });
      assert.ok((await seen.promise) >= block.number);
    }
  },
  'events are watched, over HTTP and WebSocket': async () => {
    for (const listener of [provider, socket]) {
      const seen = expected('an event');
      const watched = new Contract(await counter.getAddress(), abi, listener);
      await watched.once('Counted', (by, value) => seen.resolve({ by, value }));
      await new Promise((done) => setTimeout(done, 500));
      await receiptOf(await counter.add(2n));
      assert.equal((await seen.promise).by, wallet.address);
    }
  },
  'fees are known': async () => {
    const fees = await provider.getFeeData();
    assert.ok(fees.gasPrice > 0n && fees.maxFeePerGas > fees.maxPriorityFeePerGas);
  },
  'the bridge is described': async () => {
    const info = await provider.send('peg_getInfo', []);
    assert.equal(BigInt(info.chainId), (await provider.getNetwork()).chainId);
    assert.equal(info.contracts.bridge.toLowerCase(), bridge.toLowerCase());
  },
});
