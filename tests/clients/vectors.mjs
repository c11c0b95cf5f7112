// What payers and payees sign, hashed by viem from the EIPs' words alone: a third source beside the contract and the Rust library, which both read the file
// (`contracts/test/MicroChannelVectors.t.sol`, `bridge/payments/src/vectors.rs`). Without `--write` it says whether the file is what viem computes. Needs no node.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { concat, domainSeparator, encodeAbiParameters, hashStruct, hashTypedData, keccak256, sha256, toHex } from "viem";

const file = new URL("../../contracts/test/vectors/payments.json", import.meta.url);
const fields = (text) => text.split(", ").map((field) => ({ type: field.split(" ")[0], name: field.split(" ")[1] }));
const types = {
  Voucher: fields("bytes32 channelId, uint128 cumulativeAmount"),
  LockedVoucher: fields("bytes32 channelId, uint128 cumulativeAmount, uint128 lockedAmount, bytes32 sha256Hash, uint64 lockExpiry"),
  Stream: fields("bytes32 channelId, uint128 cumulativeAmount, uint128 tickAmount, uint32 ticks, bytes32 root"),
  Open: fields("bytes32 networkId, bytes32 channelId, address[] splitRecipients, uint16[] splitBps"),
  TopUp: fields("bytes32 networkId, bytes32 channelId, uint96 number"),
  Receipt: fields("bytes32 channelId, uint128 cumulativeAmount, uint128 price, uint128 charged, uint128 highest, uint64 acceptedAt, bytes32 request"),
  Receipts: fields("bytes32 root"),
  ReceiveWithAuthorization: fields("address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce"),
};
const contract = "0xca05000000000000000000000000000000000005";
const network = `0x${"01".repeat(32)}`;
const address = (byte) => `0x${byte.repeat(20)}`;
const zero = address("00");
const most = (bits) => 2n ** BigInt(bits) - 1n;

const cases = [
  { chainId: 51717, token: zero, authorizedSigner: zero, total: 0n, added: 1n, expiry: 1n, ticks: 1, splits: [], number: 0n, receipts: 1 },
  {
    chainId: 51717, token: "0xca05000000000000000000000000000000000008", authorizedSigner: address("c3"), total: 1_000_000_000_000n, added: 21n, expiry: 1_800_000_000n,
    ticks: 1_024, splits: [{ recipient: address("d4"), bps: 250 }, { recipient: address("e5"), bps: 9_000 }], number: 7n, receipts: 5,
  },
  {
    chainId: 1, token: address("ff"), authorizedSigner: address("ff"), total: most(128), added: most(128), expiry: most(64), ticks: Number(most(32)),
    splits: Array.from({ length: 16 }, (_, index) => ({ recipient: address(toHex(index + 1, { size: 1 }).slice(2)), bps: 1 })), number: most(96), receipts: 64,
  },
].map(({ chainId, token, authorizedSigner, total, added, expiry, ticks, splits, number, receipts: count }, index) => {
  const domain = { name: "EVM Payment Channel", version: "1", chainId, verifyingContract: contract };
  const digest = (primaryType, message) => hashTypedData({ domain, types, primaryType, message });
  const struct = (primaryType, data) => hashStruct({ data, primaryType, types });
  const [payer, payee, salt] = [address("a1"), address("b2"), keccak256(toHex(index, { size: 32 }))];
  const channelId = keccak256(
    encodeAbiParameters(
      ["address", "address", "address", "bytes32", "address", "address", "uint256"].map((type) => ({ type })),
      [payer, payee, token, salt, authorizedSigner, contract, BigInt(chainId)],
    ),
  );
  const preimage = keccak256(salt);
  const lock = { channelId, cumulativeAmount: total, lockedAmount: added, sha256Hash: sha256(preimage), lockExpiry: expiry };
  const stream = { channelId, cumulativeAmount: total, tickAmount: added, ticks, root: keccak256(preimage) };
  const open = { networkId: network, channelId, splitRecipients: splits.map((split) => split.recipient), splitBps: splits.map((split) => split.bps) };
  const topUp = struct("TopUp", { networkId: network, channelId, number });

  // Receipts are leaves of a tree: the first leaf's path is in the file.
  const receipts = Array.from({ length: count }, (_, at) => ({
    channelId, cumulativeAmount: total, price: added, charged: added, highest: total, acceptedAt: 1_800_000_000 + at, request: keccak256(toHex(at, { size: 32 })),
  }));
  const node = (a, b) => keccak256(concat(BigInt(a) < BigInt(b) ? [a, b] : [b, a]));
  const path = [];
  let level = receipts.map((receipt) => keccak256(struct("Receipt", receipt)));
  const leaf = level[0];
  for (; level.length > 1; level = level.flatMap((a, at) => (at % 2 ? [] : [at + 1 < level.length ? node(a, level[at + 1]) : a]))) path.push(level[1]);
  const [root] = level;
  assert.equal(path.reduce(node, leaf), root);
  const rootDigest = hashTypedData({ domain: { ...domain, name: "Causeway Payment Receipt" }, types, primaryType: "Receipts", message: { root } });

  // The wrapped coin's domain, whatever the case's token is.
  const wrapped = { name: "Causeway Wrapped BTC", version: "1", chainId, verifyingContract: "0xca05000000000000000000000000000000000008" };
  const openNonce = struct("Open", open);
  const authorization = { from: payer, to: contract, value: total, validAfter: 0n, validBefore: expiry, nonce: openNonce };
  const authorizationDigest = hashTypedData({ domain: wrapped, types, primaryType: "ReceiveWithAuthorization", message: authorization });

  return {
    chainId, contract, network, payer, payee, token, salt, authorizedSigner, channelId, domainSeparator: domainSeparator({ domain }),
    cumulativeAmount: total, voucherDigest: digest("Voucher", { channelId, cumulativeAmount: total }),
    lockedAmount: added, preimage, sha256Hash: lock.sha256Hash, lockExpiry: expiry, lockedVoucherDigest: digest("LockedVoucher", lock),
    tickAmount: added, ticks, root: stream.root, streamDigest: digest("Stream", stream),
    splitRecipients: open.splitRecipients, splitBps: open.splitBps, openNonce, authorizationDigest,
    topUpNumber: number, topUpNonce: concat([`0x${topUp.slice(2, 42)}`, toHex(number, { size: 12 })]),
    receipts, receiptLeaf: leaf, receiptPath: path, receiptRoot: root, receiptRootDigest: rootDigest,
  };
});

// Amounts are decimal digits in quotes, as in the draft.
const json = `${JSON.stringify({ cases }, (_, value) => (typeof value === "bigint" ? value.toString() : value), 1)}\n`;
if (process.argv.includes("--write")) writeFileSync(file, json);
else assert.equal(readFileSync(file, "utf8"), json, "the file is not what viem computes: node vectors.mjs --write");
console.log(`vectors: ${cases.length} cases are what viem computes`);
