// Makes Counter.json of Counter.sol, with the compiler of contracts/. Run by hand, when Counter.sol changes.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const solc = createRequire(new URL('../../contracts/package.json', import.meta.url))('solc');
const input = {
  language: 'Solidity',
  sources: { 'Counter.sol': { content: readFileSync(new URL('Counter.sol', import.meta.url), 'utf8') } },
  settings: {
    optimizer: { enabled: true },
    metadata: { bytecodeHash: 'none' },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
  },
};
const { contracts, errors } = JSON.parse(solc.compile(JSON.stringify(input)));
if (errors) throw new Error(JSON.stringify(errors));
const { abi, evm } = contracts['Counter.sol'].Counter;
const made = JSON.stringify({ abi, bytecode: `0x${evm.bytecode.object}` }, null, 1);
writeFileSync(new URL('Counter.json', import.meta.url), `${made}\n`);
