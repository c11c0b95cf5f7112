// viem against a node: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node viem.mjs`
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeFunctionData,
  http,
  parseEther,
  webSocket,
} from 'viem';
import { generatePrivateKey, nonceManager, privateKeyToAccount } from 'viem/accounts';
import { abi, assert, bridge, bytecode, expected, key, run, url, wsUrl } from './steps.mjs';

const account = privateKeyToAccount(key, { nonceManager });
const id = await createPublicClient({ transport: http(url) }).getChainId();
const chain = defineChain({
  id,
  name: 'Causeway',
  nativeCurrency: { name: 'Bitcoin', symbol: 'BTC', decimals: 18 },
  rpcUrls: { default: { http: [url], webSocket: [wsUrl] } },
});
// As viem's documentation has it; only the pace of polling is that of this chain.
const publicClient = createPublicClient({ chain, transport: http(url, { batch: true }), pollingInterval: 100 });
const socketClient = createPublicClient({ chain, transport: webSocket(wsUrl) });
const wallet = createWalletClient({ account, chain, transport: http(url) });
const stranger = privateKeyToAccount(generatePrivateKey()).address;

const receiptOf = async (hash) => {
  const receipt = await publicClient.waitForTransactionReceipt({ hash, timeout: 30_000 });
  assert.equal(receipt.status, 'success');
  return receipt;
};
/** The error that a contract's revert is told as. */
const revertOf = async (promise) => {
  const error = await promise.then(() => assert.fail('it did not revert'), (error) => error);
  assert.ok(error instanceof BaseError, String(error));
  return error.walk((cause) => cause instanceof ContractFunctionRevertedError) ?? assert.fail(error.message);
};

let counter;
let deployed;

await run('viem', {
  'coins are sent and arrive': async () => {
    const value = parseEther('0.0001');
    const receipt = await receiptOf(await wallet.sendTransaction({ to: stranger, value }));
    assert.equal(await publicClient.getBalance({ address: stranger }), value);
    const transaction = await publicClient.getTransaction({ hash: receipt.transactionHash });
    assert.equal(transaction.blockHash, receipt.blockHash);
    assert.equal(transaction.type, 'eip1559');
    assert.equal(receipt.gasUsed, 21_000n);
  },
  'a contract is deployed': async () => {
    deployed = await receiptOf(await wallet.deployContract({ abi, bytecode, args: [5n] }));
    counter = { abi, address: deployed.contractAddress };
    assert.ok((await publicClient.getCode({ address: counter.address })).length > 100);
    assert.equal(await publicClient.readContract({ ...counter, functionName: 'value' }), 5n);
  },
  'a contract is called, after a simulation': async () => {
    const { request, result } = await publicClient.simulateContract({ ...counter, account, functionName: 'add', args: [7n] });
    assert.equal(result, 12n);
    const receipt = await receiptOf(await wallet.writeContract(request));
    assert.equal(receipt.logs.length, 1);
    assert.equal(await publicClient.readContract({ ...counter, functionName: 'value' }), 12n);
  },
  'an old block keeps its state': async () => {
    const before = { ...counter, functionName: 'value', blockNumber: deployed.blockNumber };
    assert.equal(await publicClient.readContract(before), 5n);
  },
  'logs are read, decoded and filtered': async () => {
    const query = { ...counter, eventName: 'Counted', fromBlock: deployed.blockNumber };
    const events = await publicClient.getContractEvents({ ...query, args: { by: account.address } });
    assert.deepEqual(events.map(({ args }) => args.value), [12n]);
    assert.equal((await publicClient.getContractEvents({ ...query, args: { by: stranger } })).length, 0);
  },
  'a custom error comes decoded': async () => {
    const revert = await revertOf(publicClient.simulateContract({ ...counter, functionName: 'add', args: [101n] }));
    assert.equal(revert.data.errorName, 'TooMuch');
    assert.deepEqual(revert.data.args, [101n, 100n]);
    await revertOf(wallet.writeContract({ ...counter, functionName: 'add', args: [101n] }));
  },
  'a revert reason comes in words': async () => {
    const revert = await revertOf(publicClient.readContract({ ...counter, functionName: 'fail' }));
    assert.equal(revert.reason, 'as asked');
  },
  'transactions and calls are traced': async () => {
    const trace = (hash, options) => publicClient.request({ method: 'debug_traceTransaction', params: [hash, options] });
    const root = await trace(deployed.transactionHash, { tracer: 'callTracer' });
    assert.deepEqual([root.type, root.to, BigInt(root.gasUsed)], ['CREATE', counter.address.toLowerCase(), deployed.gasUsed]);
    const changed = await trace(deployed.transactionHash, { tracer: 'prestateTracer', tracerConfig: { diffMode: true } });
    assert.equal(BigInt(Object.values(changed.post[root.to].storage)[0]), 5n);
    const data = encodeFunctionData({ abi, functionName: 'fail' });
    const tried = await publicClient.request({ method: 'debug_traceCall', params: [{ to: counter.address, data }, 'latest', { tracer: 'callTracer' }] });
    assert.deepEqual([tried.error, tried.revertReason], ['execution reverted', 'as asked']);
  },
  'many transactions are sent at once': async () => {
    const add = () => wallet.writeContract({ ...counter, functionName: 'add', args: [1n], gas: 100_000n });
    const receipts = await Promise.all((await Promise.all(Array.from({ length: 20 }, add))).map(receiptOf));
    assert.equal(new Set(receipts.map(({ transactionHash }) => transactionHash)).size, 20);
    assert.equal(await publicClient.readContract({ ...counter, functionName: 'value' }), 32n);
  },
  'a transaction is sent and its receipt comes in the same answer (EIP-7966)': async () => {
    const to = privateKeyToAccount(generatePrivateKey()).address;
    const request = await wallet.prepareTransactionRequest({ to, value: 7n });
    const serializedTransaction = await wallet.signTransaction(request);
    const receipt = await wallet.sendRawTransactionSync({ serializedTransaction, timeout: 5_000 });
    assert.equal(receipt.status, 'success');
    assert.equal(await publicClient.getBalance({ address: to }), 7n);
  },
  'the pending block is one above the latest': async () => {
    const latest = await publicClient.getBlockNumber({ cacheTime: 0 });
    const pending = await publicClient.getBlock({ blockTag: 'pending' });
    assert.ok(pending.number > latest && pending.hash === null, `${pending.number} after ${latest}`);
    assert.ok((await publicClient.getBalance({ address: account.address, blockTag: 'pending' })) > 0n);
  },
  'blocks are simulated with what they move': async () => {
    const transfer = { from: stranger, to: account.address, value: 5n };
    const [block] = await publicClient.simulateBlocks({
      blocks: [{ calls: [transfer, { abi, to: counter.address, functionName: 'value' }], stateOverrides: [{ address: stranger, balance: 9n }] }],
      traceTransfers: true,
    });
    assert.deepEqual(block.calls.map(({ status }) => status), ['success', 'success']);
    assert.equal(block.calls[0].logs.length, 1);
    assert.equal(block.calls[1].result, 32n);
  },
  'what cannot be is refused': async () => {
    const nonce = await publicClient.getTransactionCount({ address: account.address });
    const plain = privateKeyToAccount(key);
    const stale = createWalletClient({ account: plain, chain, transport: http(url) }).sendTransaction({ to: stranger, nonce: nonce - 1, gas: 21_000n });
    assert.match(await stale.then(() => 'taken', (error) => error.details), /nonce too low/);
    const poor = createWalletClient({ account: privateKeyToAccount(generatePrivateKey()), chain, transport: http(url) });
    const unpaid = poor.sendTransaction({ to: account.address, value: 1n, gas: 21_000n });
    assert.match(await unpaid.then(() => 'taken', (error) => error.details), /insufficient funds/);
  },
  'blocks are read and watched, over HTTP and WebSocket': async () => {
    const block = await publicClient.getBlock({ includeTransactions: true });
    const finalized = await publicClient.getBlock({ blockTag: 'finalized' });
    assert.ok(finalized.number >= block.number);
    for (const client of [publicClient, socketClient]) {
      const seen = expected('a block');
      const stop = client.watchBlocks({ onBlock: seen.resolve, onError: seen.resolve });
      await wallet.sendTransaction({ to: stranger, value: 1n });
      const next = await seen.promise;
      stop();
      assert.ok(next.number >= block.number, String(next));
    }
  },
  'events are watched, over HTTP and WebSocket': async () => {
    for (const client of [publicClient, socketClient]) {
      const seen = expected('an event');
      const stop = client.watchContractEvent({ ...counter, eventName: 'Counted', onLogs: seen.resolve, onError: seen.resolve });
      // The poller makes its filter first.
      await new Promise((done) => setTimeout(done, 500));
      await receiptOf(await wallet.writeContract({ ...counter, functionName: 'add', args: [2n] }));
      const logs = await seen.promise;
      stop();
      assert.equal(logs[0]?.args?.by, account.address, String(logs));
    }
  },
  'fees are estimated': async () => {
    const fees = await publicClient.estimateFeesPerGas();
    assert.ok(fees.maxFeePerGas > fees.maxPriorityFeePerGas);
    const history = await publicClient.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] });
    assert.equal(history.reward.length, history.gasUsedRatio.length);
    assert.ok((await publicClient.getGasPrice()) > 0n);
  },
  'storage is proven': async () => {
    const { storageProof } = await publicClient.getProof({ address: counter.address, storageKeys: [`0x${'0'.repeat(64)}`] });
    assert.equal(storageProof[0].value, await publicClient.readContract({ ...counter, functionName: 'value' }));
  },
  'an account borrows the code of a contract (EIP-7702)': async () => {
    const owner = privateKeyToAccount(key);
    const authorization = await wallet.signAuthorization({ account: owner, contractAddress: counter.address, executor: 'self' });
    const data = encodeFunctionData({ abi, functionName: 'add', args: [3n] });
    const receipt = await receiptOf(await wallet.sendTransaction({ account: owner, to: owner.address, data, authorizationList: [authorization] }));
    assert.equal(receipt.type, 'eip7702');
    assert.equal(receipt.logs[0].address.toLowerCase(), owner.address.toLowerCase());
    assert.equal(await publicClient.getCode({ address: owner.address }), `0xef0100${counter.address.slice(2).toLowerCase()}`);
    assert.equal(await publicClient.readContract({ abi, address: owner.address, functionName: 'value' }), 3n);
  },
  'the bridge is described': async () => {
    const info = await publicClient.request({ method: 'peg_getInfo', params: [] });
    assert.equal(info.chainId, id);
    assert.equal(info.contracts.bridge.toLowerCase(), bridge.toLowerCase());
  },
});
