// hardhat's own chain, which begins at a block of the node's.
module.exports = {
  solidity: '0.8.35',
  paths: { artifacts: process.env.CAUSEWAY_OUT + '/artifacts', cache: process.env.CAUSEWAY_OUT + '/cache' },
  networks: { hardhat: { forking: { url: process.env.CAUSEWAY_RPC, blockNumber: Number(process.env.CAUSEWAY_FORK) } } },
};
