// OpenZeppelin's contracts as hardhat deploys and uses them: `hardhat test --network causeway`.
const assert = require('node:assert/strict');
const { ethers } = require('hardhat');

/** Deploys with hardhat's own estimate. */
async function deploy(name, ...parameters) {
  const contract = await ethers.deployContract(name, parameters);
  await contract.waitForDeployment();
  return contract;
}

const done = async (sent) => (await (await sent).wait()).status;
const stranger = () => ethers.Wallet.createRandom().address;
const ether = ethers.parseEther;

/** A call fails with this error of the contract: hardhat hands on the node's revert data as it is. */
async function refuses(call, contract, name) {
  const error = await call.then(() => assert.fail('it does not fail'), (error) => error);
  assert.equal(contract.interface.parseError(error.data ?? '0x')?.name, name, `${error}`);
}

/** Blocks come when there is something in them. */
async function blocks(me, count) {
  for (let i = 0; i < count; i++) await done(me.sendTransaction({ to: me.address }));
}

describe('OpenZeppelin by hardhat', () => {
  let me;
  before(async () => {
    [me] = await ethers.getSigners();
  });

  it('an ERC-20 with votes keeps checkpoints, and exact estimates are enough', async () => {
    const shares = await deploy('Shares', me.address);
    const [to, other] = [stranger(), stranger()];
    assert.equal(await done(shares.delegate(me.address)), 1);
    for (const share of [1n, 2n, 3n]) {
      const gasLimit = await shares.transfer.estimateGas(to, share);
      assert.equal(await done(shares.transfer(to, share, { gasLimit })), 1);
    }
    assert.equal(await shares.balanceOf(to), 6n);
    assert.equal(await shares.getVotes(me.address), ether('1000') - 6n);
    const gasLimit = await shares.delegate.estimateGas(other);
    assert.equal(await done(shares.delegate(other, { gasLimit })), 1);
    assert.equal(await shares.getVotes(other), ether('1000') - 6n);
    const past = await ethers.provider.getBlockNumber();
    await blocks(me, 1);
    assert.equal(await shares.getPastVotes(other, past), ether('1000') - 6n);
  });

  it('an ERC-20 takes a permit, once', async () => {
    const shares = await deploy('Shares', me.address);
    const [{ chainId }, verifyingContract, spender] = [await ethers.provider.getNetwork(), await shares.getAddress(), stranger()];
    const domain = { name: 'Shares', version: '1', chainId, verifyingContract };
    const fields = ['owner:address', 'spender:address', 'value:uint256', 'nonce:uint256', 'deadline:uint256'];
    const types = { Permit: fields.map((field) => field.split(':')).map(([name, type]) => ({ name, type })) };
    const permit = { owner: me.address, spender, value: 5n, nonce: 0n, deadline: ethers.MaxUint256 };
    const wallet = new ethers.Wallet(process.env.CAUSEWAY_KEY);
    const { v, r, s } = ethers.Signature.from(await wallet.signTypedData(domain, types, permit));
    assert.equal(await done(shares.permit(me.address, spender, 5n, ethers.MaxUint256, v, r, s)), 1);
    assert.equal(await shares.allowance(me.address, spender), 5n);
    await refuses(shares.permit.staticCall(me.address, spender, 5n, ethers.MaxUint256, v, r, s), shares, 'ERC2612InvalidSigner');
  });

  it('an ERC-721 made in one batch is moved and burnt', async () => {
    const pieces = await deploy('Pieces', me.address);
    const to = stranger();
    assert.equal(await pieces.balanceOf(me.address), 300n);
    assert.equal((await pieces.queryFilter('ConsecutiveTransfer')).length, 1);
    for (const id of [0n, 150n, 299n]) assert.equal(await done(pieces.transferFrom(me.address, to, id)), 1);
    assert.equal(await pieces.ownerOf(150n), to);
    assert.equal(await done(pieces.burn(7n)), 1);
    await refuses(pieces.ownerOf(7n), pieces, 'ERC721NonexistentToken');
    assert.equal(await pieces.ownerOf(8n), me.address);
  });

  it('a Governor decides by votes of past blocks', async () => {
    const shares = await deploy('Shares', me.address);
    const assembly = await deploy('Assembly', await shares.getAddress());
    const law = await deploy('Law', await assembly.getAddress());
    assert.equal(await done(shares.delegate(me.address)), 1);
    await refuses(law.enact.staticCall(7n), law, 'OwnableUnauthorizedAccount');
    const what = [[await law.getAddress()], [0n], [law.interface.encodeFunctionData('enact', [7n])]];
    assert.equal(await done(assembly.propose(...what, 'seven')), 1);
    const id = await assembly.getProposalId(...what, ethers.id('seven'));
    await blocks(me, 2);
    assert.equal(await done(assembly.castVote(id, 1)), 1);
    await refuses(assembly.execute.staticCall(...what, ethers.id('seven')), assembly, 'GovernorUnexpectedProposalState');
    const succeeded = 4n;
    for (let tries = 0; (await assembly.state(id)) !== succeeded; tries++) {
      assert.ok(tries < 60, `the proposal is in state ${await assembly.state(id)}`);
      await blocks(me, 1);
    }
    assert.equal(await done(assembly.execute(...what, ethers.id('seven'))), 1);
    assert.equal(await law.rate(), 7n);
  });

  it('a proxy is upgraded by its keeper alone, and clones are where they are expected', async () => {
    const [box, better] = [await deploy('Box'), await deploy('BetterBox')];
    const first = box.interface.encodeFunctionData('initialize', [42n]);
    const proxy = await deploy('BoxProxy', await box.getAddress(), first);
    const boxed = await ethers.getContractAt('Box', await proxy.getAddress());
    assert.deepEqual([await boxed.version(), await boxed.value(), await boxed.keeper()], [1n, 42n, me.address]);
    await refuses(boxed.connect(ethers.provider).upgradeToAndCall.staticCall(await better.getAddress(), '0x', { from: stranger() }), boxed, 'NotKeeper');
    assert.equal(await done(boxed.upgradeToAndCall(await better.getAddress(), '0x')), 1);
    assert.deepEqual([await boxed.version(), await boxed.value()], [2n, 42n]);
    const [boxes, salt] = [await deploy('Boxes'), ethers.id('salt')];
    assert.equal(await done(boxes.clone(await box.getAddress(), salt)), 1);
    const clone = await ethers.getContractAt('Box', await boxes.expected(await box.getAddress(), salt));
    assert.equal(await done(clone.initialize(9n)), 1);
    assert.equal(await clone.value(), 9n);
    await refuses(clone.initialize.staticCall(9n), clone, 'InvalidInitialization');
  });
});
