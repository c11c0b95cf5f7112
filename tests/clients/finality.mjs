// `peg_getFinality`, verified without any code of ours. docs/rpc.md shows what stands between the marks, and a test compares the two.
// [shown in docs/rpc.md]
import { bls12_381 } from '@noble/curves/bls12-381';
import { bytesToHex, fromRlp, hexToBytes, keccak256 } from 'viem';

const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_';

/** The hash of the answer's block, if the genesis file's validators made it final; throws otherwise. */
export function verifyFinality({ header, descendants, certificate }, genesis, networkId) {
  // Each header names the one before as its parent: the last one is what was signed.
  const last = descendants.reduce((hash, next) => {
    if (fromRlp(next)[0] !== hash) throw new Error('a header does not follow the one before');
    return keccak256(next);
  }, keccak256(header));

  // Signed: epoch, round and parent's round (7 bits a byte), and the hash. Then 8 bytes: how many validators; a bit for each; the signature.
  const bytes = hexToBytes(certificate);
  let end = 0;
  for (let numbers = 0; numbers < 3; end++) numbers += bytes[end] < 0x80;
  const signed = bytes.slice(0, end + 32);
  if (bytesToHex(signed.slice(end)) !== last) throw new Error('the certificate is of another block');

  const members = genesis.federation.members.slice(0, genesis.federation.validators).sort((a, b) => (a.p2pKey < b.p2pKey ? -1 : 1));
  const count = members.length;
  const bits = bytes.slice(end + 40, end + 40 + Math.ceil(count / 8));
  const signers = members.filter((_, i) => (bits[i >> 3] >> (i & 7)) & 1);
  if (signers.length < count - Math.floor((count - 1) / 3)) throw new Error(`${signers.length} of ${count} signed`);

  const { shortSignatures: bls } = bls12_381;
  const namespace = new TextEncoder().encode(`causeway/${networkId.slice(2)}_FINALIZE`);
  const message = Uint8Array.of(namespace.length, ...namespace, ...signed);
  const keys = signers.map((member) => bls12_381.G2.Point.fromHex(member.validatorKey.slice(2)));
  const signature = bls.Signature.fromHex(bytes.slice(end + 40 + bits.length));
  if (!bls.verify(signature, bls.hash(message, DST), bls.aggregatePublicKeys(keys))) throw new Error('bad signature');
  return keccak256(header);
}
// [end]
