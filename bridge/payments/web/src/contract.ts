// What is signed, and names: as the contract MicroChannel checks them (docs/adr/0035, draft-evm-session-00).
import {
  type Address, type Hex, type TypedDataDomain, concat, encodeAbiParameters, encodeFunctionData, hashStruct, keccak256, parseAbi, sliceHex, toHex,
  zeroAddress,
} from "viem";

const fields = (text: string) => text.split(", ").map((field) => {
  const [type = "", name = ""] = field.split(" ");
  return { type, name };
});

const authorization = "address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce";

export const types: Record<string, { name: string; type: string }[]> = {
  Voucher: fields("bytes32 channelId, uint128 cumulativeAmount"),
  Stream: fields("bytes32 channelId, uint128 cumulativeAmount, uint128 tickAmount, uint32 ticks, bytes32 root"),
  Open: fields("bytes32 networkId, bytes32 channelId, address[] splitRecipients, uint16[] splitBps"),
  TopUp: fields("bytes32 networkId, bytes32 channelId, uint96 number"),
  Receipt: fields("bytes32 channelId, uint128 cumulativeAmount, uint128 price, uint128 charged, uint128 highest, uint64 acceptedAt, bytes32 request"),
  Receipts: fields("bytes32 root"),
  ReceiveWithAuthorization: fields(authorization),
  TransferWithAuthorization: fields(authorization),
};

export const abi = parseAbi([
  "function openOnNetwork(bytes32 network, address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner, address[] splitRecipients, uint16[] splitBps) payable returns (bytes32)",
  "function openWithAuthorization(address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner, address from, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s, address[] splitRecipients, uint16[] splitBps) returns (bytes32)",
  "function requestClose(bytes32 channelId)",
  "function withdraw(bytes32 channelId)",
]);

/** One deployment of the contract on one chain. */
export interface Domain {
  chainId: number;
  contract: Address;
}

/** What a channel's id is made of, beside the domain. */
export interface Terms {
  payer: Address;
  payee: Address;
  /** Zero: the coin. */
  token: Address;
  salt: Hex;
  /** Who signs vouchers; zero: the payer. */
  authorizedSigner: Address;
}

/** Payers sign in the domain "EVM Payment Channel", payees in "Causeway Payment Receipt". */
export const domainOf = (name: string, { chainId, contract }: Domain): TypedDataDomain => ({ name, version: "1", chainId, verifyingContract: contract });

/** A channel's name, by its terms. */
export function channelId({ chainId, contract }: Domain, { payer, payee, token, salt, authorizedSigner }: Terms): Hex {
  const kinds = ["address", "address", "address", "bytes32", "address", "address", "uint256"].map((type) => ({ type }));
  return keccak256(encodeAbiParameters(kinds, [payer, payee, token, salt, authorizedSigner, contract, BigInt(chainId)]));
}

/** The nonce by which an authorization (EIP-3009) opens this channel on this network and does nothing else. */
export function openNonce(network: Hex, id: Hex): Hex {
  return hashStruct({ primaryType: "Open", types, data: { networkId: network, channelId: id, splitRecipients: [], splitBps: [] } });
}

/** The same for what tops the channel up; `number`: another one each time. */
export function topUpNonce(network: Hex, id: Hex, number: bigint): Hex {
  const hash = hashStruct({ primaryType: "TopUp", types, data: { networkId: network, channelId: id, number } });
  return concat([sliceHex(hash, 0, 20), toHex(number, { size: 12 })]);
}

/** Calldata that opens a channel: of the coin with the deposit as value; of a token, after the contract was allowed as much. */
export function openCall(network: Hex, { payee, token, salt, authorizedSigner }: Omit<Terms, "payer">, deposit: bigint): Hex {
  return encodeFunctionData({ abi, functionName: "openOnNetwork", args: [network, payee, token, deposit, salt, authorizedSigner, [], []] });
}

/** Whether two addresses are the same, however they are written. */
export const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Nobody: the payer signs itself. */
export const nobody: Address = zeroAddress;
