// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// EIP-1271.
interface IERC1271 {
    /// @return magic its own selector for a signature that counts.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4 magic);
}

/// Whether an account signed a digest: with its key, or, where it has code, as its code sees it (EIP-1271). The key comes first, so an account that
/// delegates to code (EIP-7702) signs with either: its key could end the delegation anyway.
library SignatureCheck {
    /// Half of secp256k1's order: of the two signatures (s and order - s) only the lower is accepted (EIP-2).
    uint256 private constant MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// An account's code may burn all gas: the caller's, who can try before.
    function isSignedBy(address signer, bytes32 digest, bytes memory signature) internal view returns (bool) {
        return isSignedBy(signer, digest, signature, gasleft());
    }

    /// @param codeGas the most that an account's code gets.
    function isSignedBy(address signer, bytes32 digest, bytes memory signature, uint256 codeGas) internal view returns (bool) {
        address recovered = _recover(digest, signature);
        if (recovered != address(0) && recovered == signer) return true;
        return signer.code.length != 0 && _approves(signer, digest, signature, codeGas);
    }

    /// Whether a key signed: as `isSignedBy` for an account without code, and cheaper.
    function isKeySigned(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        if (signature.length != 65 || uint256(bytes32(signature[32:64])) > MAX_S) return false;
        address recovered = ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
        return recovered != address(0) && recovered == signer;
    }

    /// Zero for a signature that is not 65 bytes (r, s, v = 27 or 28), not the lower of its two forms, or not of anybody.
    function _recover(bytes32 digest, bytes memory signature) private pure returns (address) {
        if (signature.length != 65) return address(0);
        (bytes32 r, bytes32 s) = (bytes32(0), bytes32(0));
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        if (uint256(s) > MAX_S) return address(0);
        return ecrecover(digest, uint8(signature[64]), r, s);
    }

    /// Its code changes nothing meanwhile, as the call is static, and of what it answers one word is read.
    function _approves(address signer, bytes32 digest, bytes memory signature, uint256 codeGas)
        private
        view
        returns (bool approved)
    {
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        assembly ("memory-safe") {
            let answered := staticcall(codeGas, signer, add(question, 32), mload(question), 0, 32)
            approved := and(answered, and(gt(returndatasize(), 31), eq(mload(0), magic)))
        }
    }
}
