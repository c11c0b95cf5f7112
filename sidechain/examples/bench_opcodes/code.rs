//! Small programs for the EVM.

use alloy_primitives::hex;

/// Bytes in front of code that runs as a constructor.
const PREFIX: usize = 11;

/// Once `setup`, then `body` again and again.
#[derive(Clone, Debug)]
pub struct Loop {
    pub name: String,
    pub setup: Vec<u8>,
    /// Leaves the stack as it was.
    pub body: Vec<u8>,
}

impl Loop {
    /// `setup` and `body` as hex.
    pub fn new(name: impl Into<String>, setup: &str, body: &str) -> Self {
        let bytes = |text: &str| hex::decode(text.replace(' ', "")).expect("hex");
        Self { name: name.into(), setup: bytes(setup), body: bytes(body) }
    }

    /// The body is repeated, so that the jump hardly counts.
    pub fn code(&self) -> Vec<u8> {
        self.code_of((20_000 / self.body.len()).clamp(1, 400))
    }

    /// With so many bodies for each jump.
    pub fn code_of(&self, times: usize) -> Vec<u8> {
        let start = u16::try_from(PREFIX + self.setup.len()).expect("short").to_be_bytes();
        [&self.setup[..], &[0x5b], &self.body.repeat(times), &[0x61], &start, &[0x56]].concat()
    }
}

/// A constructor that leaves `code`.
pub fn constructor(code: &[u8]) -> Vec<u8> {
    let length = u16::try_from(code.len()).expect("short").to_be_bytes();
    [&hex!("61")[..], &length, &hex!("80600a5f395ff3"), code].concat()
}

/// A constructor that is `code` itself, whose jumps count from [`PREFIX`]. It finds `input` in memory and its length on the stack.
pub fn run_as_constructor(code: &[u8], input: &[u8]) -> Vec<u8> {
    let length = u16::try_from(input.len()).expect("short").to_be_bytes();
    let offset = u16::try_from(PREFIX + code.len()).expect("short").to_be_bytes();
    // PUSH2 length, PUSH2 offset, PUSH0, CODECOPY, PUSH2 length
    [&hex!("61")[..], &length, &hex!("61"), &offset, &hex!("5f39"), &hex!("61"), &length, code, input].concat()
}
