// Typed data and their hashes by viem, for sidechain/src/io/rpc/eth/typed_data.rs:
// `node typed_data.mjs > ../../sidechain/src/io/rpc/tests/data/typed-data.json`
import { hashTypedData } from 'viem';
const domain = { name: 'Causeway', version: '1', chainId: 1, verifyingContract: '0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC' };
const EIP712Domain = [{name:'name',type:'string'},{name:'version',type:'string'},{name:'chainId',type:'uint256'},{name:'verifyingContract',type:'address'}];
const cases = [
 { types: { EIP712Domain, Node: [{name:'value',type:'uint256'},{name:'children',type:'Node[]'}] }, primaryType:'Node', domain,
   message: { value: 1, children: [{ value: 2, children: [] }, { value: 3, children: [{ value: 4, children: [] }] }] } },
 { types: { EIP712Domain, Person: [{name:'name',type:'string'},{name:'groups',type:'Group[]'}], Group: [{name:'members',type:'Person[]'},{name:'tag',type:'bytes4'}] }, primaryType:'Person', domain,
   message: { name: 'Alice', groups: [{ tag: '0x01020304', members: [{ name: 'Bob', groups: [] }] }, { tag: '0x00000000', members: [] }] } },
 { types: { EIP712Domain, Tree: [{name:'grid',type:'Tree[][2]'},{name:'leaf',type:'Leaf'},{name:'names',type:'string[]'},{name:'data',type:'bytes'}], Leaf: [{name:'on',type:'bool'},{name:'at',type:'int8'},{name:'who',type:'address'}] }, primaryType:'Tree', domain,
   message: { grid: [[{ grid: [[],[]], leaf: {on:false, at:-5, who:'0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826'}, names: [], data:'0x' }], []], leaf: {on:true, at:127, who:'0x0000000000000000000000000000000000000001'}, names: ['a','','ü'], data:'0xdeadbeef' } },
 { types: { EIP712Domain, Mail: [{name:'from',type:'Person'},{name:'to',type:'Person[]'},{name:'contents',type:'string'}], Person: [{name:'name',type:'string'},{name:'wallets',type:'address[]'}] }, primaryType:'Mail', domain,
   message: { from: {name:'Cow', wallets:['0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826']}, to: [{name:'Bob', wallets:[]}], contents:'Hello, Bob!' } },
];
// Domains as their types declare them: none, some of the fields, other orders and widths, fields of their own, and no type at all.
const Ask = [{name:'what',type:'string'}];
const asked = (EIP712Domain, domain) => ({ types: { ...(EIP712Domain && { EIP712Domain }), Ask }, primaryType: 'Ask', domain, message: { what: 'this' } });
cases.push(
 asked([], {}),
 asked([{name:'name',type:'string'}], { name: 'Causeway' }),
 asked([{name:'chainId',type:'uint256'},{name:'name',type:'string'}], { name: 'Causeway', chainId: 1 }),
 asked([{name:'name',type:'string'},{name:'chainId',type:'uint32'}], { name: 'Causeway', chainId: 1 }),
 asked([{name:'name',type:'string'},{name:'realm',type:'Realm'},{name:'tags',type:'bytes4[]'}], { name: 'Causeway', realm: { number: 7 }, tags: ['0x01020304'] }),
 asked([{name:'salt',type:'bytes32'},{name:'verifyingContract',type:'address'}], { salt: '0x' + '11'.repeat(32), verifyingContract: domain.verifyingContract }),
 asked(undefined, { name: 'Causeway', chainId: 1 }),
 { ...asked(EIP712Domain, domain), primaryType: 'EIP712Domain', message: {} },
);
cases[8].types.Realm = [{name:'number',type:'uint8'}];
console.log(JSON.stringify(cases.map(c => ({ data: c, hash: hashTypedData(c) })), null, 1));
