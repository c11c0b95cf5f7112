//! Bytes as a hexadecimal string in JSON: `#[serde(with = "crate::hex_bytes")]`.

use serde::de::{Deserialize as _, Deserializer, Error as _};
use serde::ser::Serializer;
use zeroize::Zeroizing;

pub(crate) fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(hex::encode(bytes)))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    let bytes = hex::decode(text.as_bytes()).map_err(D::Error::custom)?;
    let length = bytes.len();
    T::try_from(bytes)
        .map_err(|_| D::Error::custom(format_args!("hexadecimal string of {length} bytes has the wrong length")))
}
