// The compiler is the one of contracts/, so that hardhat downloads none.
const path = require('node:path');
const { subtask } = require('hardhat/config');
const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } = require('hardhat/builtin-tasks/task-names');
require('@nomicfoundation/hardhat-ethers');

const version = '0.8.35';
const solc = path.join(__dirname, '../../contracts/node_modules/solc');

subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async () => ({
  compilerPath: path.join(solc, 'soljson.js'),
  isSolcJs: true,
  version,
  longVersion: version,
}));

module.exports = {
  solidity: { version, settings: { evmVersion: 'prague', optimizer: { enabled: true }, metadata: { bytecodeHash: 'none' } } },
  networks: { causeway: { url: process.env.CAUSEWAY_RPC, accounts: [process.env.CAUSEWAY_KEY] } },
  paths: { sources: './openzeppelin/contracts', artifacts: process.env.CAUSEWAY_OUT + '/artifacts', cache: process.env.CAUSEWAY_OUT + '/cache', tests: './openzeppelin/test' },
  mocha: { timeout: 120_000 },
};
