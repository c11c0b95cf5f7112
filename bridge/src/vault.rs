//! The vault's output key, and the checks of tweaked keys that the rest builds on.
//!
//! ```text
//!  group key P (x-only, even y) ──TapTweak(P || root)──▶ output key Q = P + t·G     (BIP341)
//!      root of a vault output    = hash of the recovery leaf (mainchain::recovery)
//!      root of a deposit output  = hash of the deposit leaf  (mainchain::deposit)
//! ```

use bitcoin::hashes::Hash as _;
use bitcoin::taproot::TapTweakHash;
use bitcoin::{ScriptBuf, TapNodeHash, XOnlyPublicKey};
use secp256k1::{PublicKey, SECP256K1};

/// Q, the point whose x coordinate an output of `group_key` with this script tree pays to.
///
/// # Panics
///
/// If the tweak is the group key's negative, which nobody can find.
pub fn output_point(group_key: XOnlyPublicKey, merkle_root: &[u8; 32]) -> PublicKey {
    let root = TapNodeHash::from_byte_array(*merkle_root);
    let tweak = TapTweakHash::from_key_and_tweak(group_key, Some(root)).to_scalar();
    let (key, parity) = group_key.add_tweak(SECP256K1, &tweak).expect("a hash that negates a key cannot be found");
    PublicKey::from_x_only_public_key(key, parity)
}

/// The x-only key an output of `group_key` with this script tree pays to.
pub fn output_key(group_key: XOnlyPublicKey, merkle_root: &[u8; 32]) -> XOnlyPublicKey {
    output_point(group_key, merkle_root).x_only_public_key().0
}

/// Both coordinates of a point, big endian, as `Federation.confirmKey` takes the vault key.
pub fn coordinates(point: &PublicKey) -> ([u8; 32], [u8; 32]) {
    let bytes = point.serialize_uncompressed();
    (bytes[1..33].try_into().expect("32 of 65 bytes"), bytes[33..].try_into().expect("32 of 65 bytes"))
}

/// `5120<output key>`: the P2TR script of an output key that is already tweaked.
pub fn script(output_key: XOnlyPublicKey) -> ScriptBuf {
    ScriptBuf::new_p2tr_tweaked(bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(output_key))
}
