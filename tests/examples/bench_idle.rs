//! What a network costs that nobody uses: `make bench`, or `cargo run --release -p causeway-tests --example bench_idle -- SECONDS`.
//!
//! A line for each kind of process of a `causeway dev` that is left alone, with a block of Bitcoin every two seconds as it makes them, and with
//! none: its memory, its time of a processor (10,000 us a second are 1 % of a core), and how often it wakes. Asserts nothing: other work on the machine shows in the numbers.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use tests::network::{Network, Options};
use tests::proc;

/// Time of one run in seconds, where the command line has none.
const SECONDS: u64 = 120;

/// From the start on: keys are made, coins are minted, and the last of what that set off ends.
const SETTLING: Duration = Duration::from_secs(20);

fn main() {
    let seconds = std::env::args().nth(1).map_or(SECONDS, |text| text.parse().expect("seconds"));
    for (how, block_interval) in [("a block of Bitcoin every 2 s", "2s"), ("no blocks of Bitcoin", "0s")] {
        let network = Network::start(Options { block_interval, fund: true, ..Options::default() });
        sleep(SETTLING);
        measure(&network, how, seconds);
    }
}

fn measure(network: &Network, how: &str, seconds: u64) {
    let processes = processes(network);
    let before: BTreeMap<u32, Spent> =
        processes.values().flatten().map(|process| (*process, Spent::of(*process))).collect();
    sleep(Duration::from_secs(seconds));
    println!("{how:<36} processes   memory of each   us of processor/s each   wakeups/s each");
    for (kind, processes) in processes {
        let count = processes.len() as u64;
        let each = |of: &dyn Fn(u32) -> u64| processes.iter().map(|process| of(*process)).sum::<u64>() / count;
        let memory = each(&proc::memory) / 1_000_000;
        let busy =
            each(&|process| proc::busy(process).saturating_sub(before[&process].busy).as_micros() as u64) / seconds;
        let wakeups = each(&|process| proc::wakeups(process).saturating_sub(before[&process].wakeups)) / seconds;
        println!("{kind:<36} {count:>9} {memory:>13} MB {busy:>24} {wakeups:>16}");
    }
}

/// What a process has had.
struct Spent {
    busy: Duration,
    wakeups: u64,
}

impl Spent {
    fn of(process: u32) -> Self {
        Self { busy: proc::busy(process), wakeups: proc::wakeups(process) }
    }
}

/// The network's processes by what they are.
fn processes(network: &Network) -> BTreeMap<String, Vec<u32>> {
    let folder = network.folder().display().to_string();
    let mut kinds = BTreeMap::<_, Vec<u32>>::new();
    for process in proc::all() {
        let arguments = proc::arguments(process);
        if arguments.iter().any(|argument| argument.contains(&folder)) {
            kinds.entry(kind(&arguments)).or_default().push(process);
        }
    }
    kinds
}

fn kind(arguments: &[String]) -> String {
    let program = arguments[0].rsplit('/').next().unwrap_or_default();
    match arguments.get(1).map(String::as_str) {
        Some("node") => "validator".to_owned(),
        Some(command) if program == "causeway" => command.to_owned(),
        _ => program.to_owned(),
    }
}
