//! What a refusal is in each of the languages that clients speak.

/// HTTP status, MPP's problem type, our own code, a title, x402's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub status: u16,
    pub kind: &'static str,
    pub code: &'static str,
    pub title: &'static str,
    pub x402: &'static str,
}
