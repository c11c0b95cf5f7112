//! Every instruction, in the tightest loop.

use alloy_primitives::{Address, hex};

use super::{
    Row,
    code::Loop,
    network::{ACCOUNTS, Network, SLOTS, account},
};

const ONES: &str = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
/// An odd number of 193 bits: divisions by it take the long way.
const ODD: &str = "7f000000000000000195cd3f76ba9cfe21b50cc8fac9cd6c4d8b3ff3e46a8b6cd1";

pub fn measure(network: &Network) -> Vec<Row> {
    let programs = [plain(), words(), memory(), state(network), calls(network), creations()].concat();
    programs.iter().map(|program| network.measure(program, &[])).collect()
}

fn push(address: Address) -> String {
    format!("73{}", hex::encode(address))
}

/// Those without arguments, and those that only move words.
fn plain() -> Vec<Loop> {
    let nullary = [
        ("ADDRESS", "30"),
        ("ORIGIN", "32"),
        ("CALLER", "33"),
        ("CALLVALUE", "34"),
        ("CALLDATASIZE", "36"),
        ("CODESIZE", "38"),
        ("GASPRICE", "3a"),
        ("RETURNDATASIZE", "3d"),
        ("COINBASE", "41"),
        ("TIMESTAMP", "42"),
        ("NUMBER", "43"),
        ("PREVRANDAO", "44"),
        ("GASLIMIT", "45"),
        ("CHAINID", "46"),
        ("SELFBALANCE", "47"),
        ("BASEFEE", "48"),
        ("BLOBBASEFEE", "4a"),
        ("PC", "58"),
        ("MSIZE", "59"),
        ("GAS", "5a"),
        ("PUSH0", "5f"),
        ("PUSH1", "60ff"),
        ("PUSH32", ONES),
        ("DUP1", "80"),
        ("DUP16", "8f"),
    ];
    let setup = "5f".repeat(16);
    let mut all: Vec<_> =
        nullary.iter().map(|(name, code)| Loop::new(format!("{name}, POP"), &setup, &format!("{code}50"))).collect();
    all.push(Loop::new("JUMPDEST", "", "5b"));
    all.push(Loop::new("SWAP1", "5f5f", "90"));
    all.push(Loop::new("SWAP16", &"5f".repeat(17), "9f"));
    // The target is the program counter five further on: PC, PUSH1 5, ADD, JUMP, JUMPDEST.
    all.push(Loop::new("JUMP", "", "58600501565b"));
    all.push(Loop::new("JUMPI", "", "6001586005 01575b"));
    all.push(Loop::new("JUMPI, not taken", "", "5f5f57"));
    all.push(Loop::new("BLOCKHASH, of 256 in turn", "", "5a60ff16 43034050"));
    all.push(Loop::new("BLOBHASH", "", "5f4950"));
    all.push(Loop::new("CALLDATALOAD", "", "5f3550"));
    all
}

/// Arithmetic on the numbers that take longest.
fn words() -> Vec<Loop> {
    let unary = [("ISZERO", "15"), ("NOT", "19"), ("CLZ", "1e")];
    let binary = [
        ("ADD", "01"),
        ("MUL", "02"),
        ("SUB", "03"),
        ("DIV", "04"),
        ("SDIV", "05"),
        ("MOD", "06"),
        ("SMOD", "07"),
        ("SIGNEXTEND", "0b"),
        ("LT", "10"),
        ("GT", "11"),
        ("SLT", "12"),
        ("SGT", "13"),
        ("EQ", "14"),
        ("AND", "16"),
        ("OR", "17"),
        ("XOR", "18"),
        ("BYTE", "1a"),
        ("SHL", "1b"),
        ("SHR", "1c"),
        ("SAR", "1d"),
    ];
    let ternary = [("ADDMOD", "08"), ("MULMOD", "09")];
    let setup = format!("{ODD}{ODD}{ONES}");
    let mut all: Vec<_> = unary.iter().map(|(name, code)| Loop::new(*name, ONES, code)).collect();
    all.extend(binary.iter().map(|(name, code)| Loop::new(*name, &setup, &format!("81 81 {code} 50"))));
    let ternary = ternary.iter();
    all.extend(
        ternary.map(|(name, code)| Loop::new(*name, &format!("{ODD}{ONES}{ONES}"), &format!("82 82 82 {code} 50"))),
    );
    all.push(Loop::new("EXP, 32 bytes", &format!("{ONES}{ONES}"), "81 81 0a 50"));
    all.push(Loop::new("EXP, 1 byte", "60ff60ff", "81 81 0a 50"));
    all
}

fn memory() -> Vec<Loop> {
    let wide = "5f61ffe052";
    let mut all = vec![
        Loop::new("MLOAD", wide, "5f5150"),
        Loop::new("MSTORE", wide, "5f5f52"),
        Loop::new("MSTORE8", wide, "5f5f53"),
        Loop::new("RETURNDATACOPY, 0 bytes", wide, "5f5f5f3e"),
    ];
    for bytes in [0u16, 32, 136, 1_024, 32_768] {
        let length = format!("61{}", hex::encode(bytes.to_be_bytes()));
        let setup = format!("{wide}{length}");
        all.push(Loop::new(format!("KECCAK256, {bytes} bytes"), &setup, "80 5f 20 50"));
        all.push(Loop::new(format!("MCOPY, {bytes} bytes"), &setup, "80 6001 5f 5e"));
        all.push(Loop::new(format!("CALLDATACOPY, {bytes} bytes"), &setup, "80 5f 5f 37"));
        all.push(Loop::new(format!("CODECOPY, {bytes} bytes"), &setup, "80 5f 5f 39"));
        all.push(Loop::new(format!("LOG0, {bytes} bytes"), &setup, "80 5f a0"));
        all.push(Loop::new(format!("LOG4, {bytes} bytes"), &setup, "5f5f5f5f 84 5f a4"));
    }
    all
}

fn state(network: &Network) -> Vec<Loop> {
    let first = |address: Address| push(address);
    let each = "6001 01";
    let mut all = Vec::new();
    for (name, code) in [("BALANCE", "31"), ("EXTCODESIZE", "3b"), ("EXTCODEHASH", "3f")] {
        all.push(Loop::new(format!("{name}, warm"), &first(account(0)), &format!("80 {code} 50")));
        all.push(Loop::new(format!("{name}, cold accounts"), &first(account(0)), &format!("80 {code} 50 {each}")));
        let absent = first(account(2 * ACCOUNTS));
        all.push(Loop::new(format!("{name}, cold, no account"), &absent, &format!("80 {code} 50 {each}")));
        all.push(Loop::new(
            format!("{name}, warm contract of 24 KiB"),
            &first(network.contracts[0]),
            &format!("80 {code} 50"),
        ));
        all.push(contracts(network, format!("{name}, cold contracts of 24 KiB"), &format!("{code}50")));
    }
    all.push(contracts(network, "EXTCODECOPY, cold contracts, 0 bytes".to_owned(), "5f5f5f 92 3c"));
    all.push(Loop::new(
        "EXTCODECOPY, warm, 24 KiB",
        &format!("5f615fff52 {}", push(network.contracts[0])),
        "6160005f5f 83 3c",
    ));
    all.push(Loop::new("SLOAD, warm", "", "5f5450"));
    all.push(Loop::new("SLOAD, cold", "5f", &format!("80 54 50 {each}")));
    all.push(Loop::new("TLOAD", "", "5f5c50"));
    all.push(Loop::new("TSTORE, one slot", "", "5f5f5d"));
    all.push(Loop::new("TSTORE, new slots", "5f", &format!("80 80 5d {each}")));
    all.push(Loop::new("SSTORE, warm", "60015f55", "5f5f55 60015f55"));
    all.push(Loop::new("SSTORE, new slots", "5f", &format!("80 80 55 {each}")));
    all.push(Loop::new("SELFDESTRUCT in a creation", "6133ff5f52", "6002601e5f f0 50"));
    all.push(delegated(network, "SLOAD, cold, there", 0));
    all.push(delegated(network, "SLOAD, cold, not there", SLOTS * 2));
    all
}

/// `operation` on one contract after another; it finds the address on top and takes it away.
fn contracts(network: &Network, name: String, operation: &str) -> Loop {
    let mut body = String::new();
    for contract in &network.contracts[..] {
        body += &format!("{} {operation}", push(*contract));
    }
    Loop::new(name, "", &body)
}

/// Slots of the contract that has many can be read by itself alone, so its own loop is called.
fn delegated(network: &Network, name: &str, from: u64) -> Loop {
    let reader = push(network.storage);
    // Its code writes what is there already, which is a cold read and nothing else.
    let words =
        format!("67{} 5f52 67{} 602052", hex::encode(from.to_be_bytes()), hex::encode((from + 7_000).to_be_bytes()));
    Loop::new(name, &words, &format!("5f5f60405f5f{reader}5af150"))
}

fn calls(network: &Network) -> Vec<Loop> {
    let call = |to: Address| format!("5f5f5f5f5f{}5af150", push(to));
    let plain = |to: Address, code: &str| format!("5f5f5f5f{}5a{code}50", push(to));
    vec![
        Loop::new("CALL, empty code", "", &call(account(0))),
        Loop::new("CALL, cold accounts", &push(account(0)), "5f5f5f5f5f 85 5af150 6001 01"),
        Loop::new("CALL, a contract that stops", "", &call(network.stops)),
        Loop::new("CALLCODE", "", &format!("5f5f5f5f5f{}5af250", push(network.stops))),
        Loop::new("DELEGATECALL", "", &plain(network.stops, "f4")),
        Loop::new("STATICCALL", "", &plain(network.stops, "fa")),
        Loop::new("CALL, a contract of 24 KiB", "", &call(network.contracts[0])),
        Loop::new("CALL, a contract that reverts", "", &call(network.reverts)),
        Loop::new("CALL, ten TSTOREs that are reverted", "", &call(network.writes_and_reverts)),
        Loop::new("CALL, 64 KiB of new memory", "", &call(network.expands)),
        Loop::new("CALL, itself, as deep as it goes", "", &call(network.recurses)),
        contracts(network, "CALL, cold contracts of 24 KiB".to_owned(), "5f5f5f5f5f 94 50 5f5f5f5f5f 93 5a f1 50")
            .with_calls(network),
    ]
}

impl Loop {
    /// The body as calls, since the order of arguments does not allow the address first.
    fn with_calls(mut self, network: &Network) -> Self {
        let body: String =
            network.contracts.iter().map(|contract| format!("5f5f5f5f5f{}5af150", push(*contract))).collect();
        self.body = hex::decode(body).expect("hex");
        self
    }
}

fn creations() -> Vec<Loop> {
    vec![
        Loop::new("CREATE, empty", "", "5f5f5ff050"),
        Loop::new("CREATE2, empty", "5f", "80 5f5f5ff550 6001 01"),
        Loop::new("CREATE, 48 KiB that stop at once", "5f61bfe052", "61c0005f5ff050"),
        Loop::new("CREATE2, 48 KiB that stop at once", "5f61bfe052 5f", "80 61c0005f5ff550 6001 01"),
        // Memory full of JUMPDESTs but for the STOP in front.
        Loop::new("CREATE, 48 KiB of JUMPDESTs behind a STOP", &jumpdests(), "61c0005f5ff050"),
        // PUSH2 0x6000, PUSH0, RETURN: 24 KiB of zeroes.
        Loop::new("CREATE, a contract of 24 KiB", "6561600 05ff3 00 5f52".replace(' ', "").as_str(), "6006601a5ff050"),
    ]
}

/// Fills 48 KiB with JUMPDESTs by copies that double, then puts a STOP in front.
fn jumpdests() -> String {
    let word = "5b".repeat(32);
    let mut code = format!("7f{word}5f52");
    let mut length = 32u16;
    while length < 0x8000 {
        code += &format!("61{0}5f61{0}5e", hex::encode(length.to_be_bytes()));
        length *= 2;
    }
    code += "6140005f6180005e";
    code + "5f5f53"
}
