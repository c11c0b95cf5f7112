// Finality: that more than two thirds of the validators signed a header, or a descendant of it. The same as sidechain/light/src/finality.
//
//   epoch (varint) | view (varint) | parent view (varint) | header hash (32)      <- what is signed, behind the network's namespace
//   validators (8, big endian) | bitmap of signers, least significant bit first | aggregate signature (48)
//
// BLS12-381, keys in G2 and signatures in G1, with proofs of possession, which the operators checked when they agreed on the genesis file
// (draft-irtf-cfrg-bls-signature-05).
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { type Hex, bytesToHex, hexToBytes } from "viem";
import { joined } from "../bitcoin/bytes.ts";
import { NotProven, require } from "./failure.ts";
import type { Genesis } from "./genesis.ts";
import { type Header, readHeader } from "./header.ts";

const MESSAGE_DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
const SIGNATURE_BYTES = 48;
/** A number of 64 bits, 7 bits a byte. */
const MOST_VARINT_BYTES = 10;
/** Headers between a block and the one that is signed; a node answers no more. */
const MOST_DESCENDANTS = 256;

/** As `peg_getFinality` answers. */
export interface Finality {
  number: number;
  hash: Hex;
  header: Hex;
  certificate: Hex;
  certified: { number: number; hash: Hex };
  descendants: Hex[];
}

export interface FinalHeader extends Header {
  signers: number;
  validators: number;
}

/** The header that an answer shows to be final. Throws `NotProven`. Only its headers and certificate are looked at, not what it says about them. */
export function verifyFinality(answer: Pick<Finality, "header" | "certificate" | "descendants">, genesis: Genesis): FinalHeader {
  require(Array.isArray(answer.descendants) && answer.descendants.length <= MOST_DESCENDANTS, "too many headers lie between the block and its certificate");
  const header = readHeader(answer.header);
  let last = header;
  for (const raw of answer.descendants) {
    const next = readHeader(raw);
    require(next.parentHash === last.hash && next.number === last.number + 1, `block ${next.number} does not follow block ${last.number}`);
    last = next;
  }
  return { ...header, ...verifyCertificate(answer.certificate, last.hash, genesis) };
}

function verifyCertificate(certificate: Hex, hash: Hex, { networkId, validatorKeys }: Genesis): { signers: number; validators: number } {
  const bytes = hexToBytes(certificate);
  const signedEnd = afterNumbers(bytes, 3) + 32;
  const signed = bytes.subarray(0, signedEnd);
  require(signed.length === signedEnd && bytesToHex(signed.subarray(-32)) === hash, "the certificate is of another block");
  const validators = validatorKeys.length;
  const bitmapEnd = signedEnd + 8 + Math.ceil(validators / 8);
  require(bytes.length === bitmapEnd + SIGNATURE_BYTES, "the certificate has another length than one of these validators");
  const counted = bytes.subarray(signedEnd, signedEnd + 8).reduce((count, byte) => count * 256 + byte, 0);
  require(counted === validators, `the certificate is of ${counted} validators, the genesis file names ${validators}`);
  const bitmap = bytes.subarray(signedEnd + 8, bitmapEnd);
  const isSet = (at: number) => ((bitmap[at >> 3] ?? 0) >> (at & 7)) & 1;
  require(!Array.from({ length: bitmap.length * 8 - validators }, (_, at) => isSet(validators + at)).some(Boolean), "the certificate names a validator that there is not");
  const signers = validatorKeys.filter((_, at) => isSet(at));
  const quorum = validators - Math.floor((validators - 1) / 3);
  require(signers.length >= quorum, `${signers.length} of ${validators} validators signed, ${quorum} have to`);

  const namespace = new TextEncoder().encode(`causeway/${networkId.slice(2)}_FINALIZE`);
  const message = joined(varint(namespace.length), namespace, signed);
  const { shortSignatures: bls } = bls12_381;
  let isSigned: boolean;
  try {
    const keys = signers.map((key) => bls12_381.G2.Point.fromHex(key.slice(2)));
    const signature = bls.Signature.fromHex(bytesToHex(bytes.subarray(bitmapEnd)).slice(2));
    isSigned = bls.verify(signature, bls.hash(message, MESSAGE_DST), bls.aggregatePublicKeys(keys));
  } catch (error) {
    throw new NotProven("the certificate's signature is no signature", { cause: error });
  }
  require(isSigned, "the validators did not sign this block: the certificate's signature is wrong");
  return { signers: signers.length, validators };
}

/** Where the bytes behind so many numbers of LEB128 begin. */
function afterNumbers(bytes: Uint8Array, count: number): number {
  let at = 0;
  for (let number = 0; number < count; number++) {
    const begin = at;
    while ((bytes[at] ?? 0) >= 0x80) at++;
    at++;
    require(at - begin <= MOST_VARINT_BYTES && at <= bytes.length, "the certificate is cut off");
    require(at - begin === 1 || bytes[at - 1] !== 0, "a number of the certificate is not in its shortest form");
  }
  return at;
}

function varint(value: number): Uint8Array {
  const bytes = [];
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, value]);
}
