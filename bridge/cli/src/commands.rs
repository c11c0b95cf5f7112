//! The command tree, its help, and logging.
//!
//! Each command is a file with an `Args` (what is typed) and `run(Args, &Context)` (what is done). A command that talks to a
//! network does so inside [`Context::block_on`]; a node brings its own runtime.
//!
//! How a command can end is in [`crate::exit`].

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use eyre::Result;

use crate::audit::command as audit;
use crate::context::{Context, LogFormat};
use crate::dev::{demo::command as demo, headers, local_network::command as dev};
use crate::doctor::command as doctor;
use crate::evidence::{receipt, verify};
use crate::log_filter;
use crate::operator::{backup::command as operator, genesis::command as genesis, keys, lift, node, pause, relayer};
use crate::progress;
use crate::shell::{completions, help, man};
use crate::terminal::{log_json, log_lines};
use crate::user::{
    bump, cancel, claim, pay::command as pay, peg_in, peg_out, raise, reclaim, refund, register, status, wallet,
};

/// Listed by hand, so that every reader finds the commands meant for them together; a test compares it with the tree.
const HELP: &str = "\
{about-with-newline}
Usage: causeway <COMMAND> [OPTIONS]

For a user:
  peg-in     A Bitcoin address to pay; the coins appear on the sidechain
  peg-out    Pay coins back out to a Bitcoin address
  status     Where your deposits and withdrawals, or the bridge itself stand
  raise      Let a withdrawal that waits cost more
  cancel     Take a withdrawal back while it is still queued
  refund     Give a withdrawal that was not paid for long back to its owner
  claim      Take coins that a recipient's code refused
  bump       Pay for a vault transaction that waits on Bitcoin
  reclaim    Take an unswept deposit back on Bitcoin after its timelock
  register   Tell the federation again of a deposit address of yours
  wallet     One wallet for both sides, on regtest and testnets
  pay        Micropayments: channels and vouchers; sell and buy by HTTP request
  receipt    Write a receipt of a deposit or a paid withdrawal
  verify     Check a receipt offline, with the genesis file alone
  audit      Every satoshi on the sidechain matched with an output on Bitcoin

For a federation operator:
  keys       Make the keys of a validator, a relayer or a user
  genesis    Make a genesis file of all operators' public parts; show or verify one
  node       Run a validator, or a node that only follows
  relayer    Watch Bitcoin, prove deposits, sign payouts
  operator   Back up what a lost machine needs; restore it on a new one
  pause      Stop payouts for a while, as a guardian
  lift       Vote to end a pause, as a member

For a developer:
  dev        A whole local network, until Ctrl-C
  demo       The main job shown step by step on a local network
  headers    Check Bitcoin block headers

For everybody:
  doctor       What is wrong with this machine's part of a network, and what to do
  help         The help of a command; `causeway help exit-codes`: how commands end
  completions  Completions of commands and options for your shell
  man          Write man pages into a folder

{options}

Amounts are written `0.1 BTC` or `10000000 sat`. `causeway <COMMAND> --help` shows examples.
";

/// Heading of the options that every command has.
const EVERY: &str = "Every command";

/// A two-way peg between Bitcoin and an EVM sidechain
///
/// Bitcoin is locked on one side and the same number of satoshis is released on the other. Not audited: use it with
/// coins you can lose.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, help_template = HELP, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Causeway {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// `causeway wallet help create` is `causeway help wallet create`.
fn help_first(mut words: Vec<OsString>, tree: &clap::Command) -> Vec<OsString> {
    let mut command = tree;
    for position in 1..words.len() {
        if words[position] == "help" && command.has_subcommands() {
            let help = words.remove(position);
            words.insert(1, help);
            break;
        }
        let Some(inner) = words[position].to_str().and_then(|word| command.find_subcommand(word)) else { break };
        command = inner;
    }
    words
}

#[derive(Debug, clap::Args)]
struct Global {
    /// Print results as JSON, one object a line, for scripts
    #[arg(long, global = true, help_heading = EVERY, display_order = 1000)]
    json: bool,
    /// How log lines look (they go to standard error)
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human, value_name = "FORMAT", help_heading = EVERY, display_order = 1001)]
    log_format: LogFormat,
    /// What is logged, e.g. `info` or `bridge=debug,warn` [default: info for node, relayer, dev and pay serve; else warn]
    #[arg(
        long,
        global = true,
        env = "CAUSEWAY_LOG",
        value_name = "FILTER",
        hide_env_values = true,
        help_heading = EVERY,
        display_order = 1002
    )]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    PegIn(peg_in::Args),
    PegOut(peg_out::Args),
    Status(status::Args),
    Raise(raise::Args),
    Cancel(cancel::Args),
    Refund(refund::Args),
    Claim(claim::Args),
    Bump(bump::Args),
    Reclaim(reclaim::Args),
    Register(register::Args),
    Receipt(receipt::Args),
    Verify(verify::Args),
    Audit(audit::Args),
    Dev(dev::Args),
    Demo(demo::Args),
    Keys(keys::Args),
    Genesis(genesis::Args),
    Node(node::Args),
    Relayer(relayer::Args),
    Operator(operator::Args),
    Pause(pause::Args),
    Lift(lift::Args),
    Headers(headers::Args),
    Doctor(doctor::Args),
    Help(help::Args),
    Completions(completions::Args),
    Man(man::Args),
    Wallet(wallet::Args),
    Pay(pay::Args),
}

impl Causeway {
    /// What was typed, and the words of the command in it: `pay open`.
    ///
    /// # Errors
    ///
    /// It makes no sense, or asks for help.
    pub fn typed() -> Result<(Self, String), clap::Error> {
        // What is refused, or asks for help, is told by the tree that is told to readers.
        let typed = help_first(std::env::args_os().collect(), &Self::command());
        let matches = Self::command().try_get_matches_from(&typed);
        let matches = matches.or_else(|_| Self::explained().try_get_matches_from(&typed))?;
        Ok((Self::from_arg_matches(&matches)?, words(&matches)))
    }

    /// The tree of commands for readers: usage lines name what must be given, and nothing that the environment or the configuration usually gives.
    pub fn explained() -> clap::Command {
        let mut tree = Self::command();
        tree.build();
        with_short_usage(tree)
    }

    /// Does what was asked.
    ///
    /// # Errors
    ///
    /// `--log` is not a filter, or the command fails.
    pub fn run(self) -> Result<()> {
        self.global.start_logging(self.command.is_service())?;
        let context = Context { json: self.global.json, log_format: self.global.log_format };
        progress::watch(&context, self.command.is_service());
        match self.command {
            Command::PegIn(args) => peg_in::run(args, &context),
            Command::PegOut(args) => peg_out::run(args, &context),
            Command::Status(args) => status::run(args, &context),
            Command::Raise(args) => raise::run(args, &context),
            Command::Cancel(args) => cancel::run(args, &context),
            Command::Refund(args) => refund::run(args, &context),
            Command::Claim(args) => claim::run(args, &context),
            Command::Bump(args) => bump::run(args, &context),
            Command::Reclaim(args) => reclaim::run(args, &context),
            Command::Register(args) => register::run(args, &context),
            Command::Receipt(args) => receipt::run(args, &context),
            Command::Verify(args) => verify::run(args, &context),
            Command::Audit(args) => audit::run(args, &context),
            Command::Dev(args) => dev::run(args, &context),
            Command::Demo(args) => demo::run(args, &context),
            Command::Keys(args) => keys::run(args, &context),
            Command::Genesis(args) => genesis::run(args, &context),
            Command::Node(args) => node::run(args, &context),
            Command::Relayer(args) => relayer::run(args, &context),
            Command::Operator(args) => operator::run(args, &context),
            Command::Pause(args) => pause::run(args, &context),
            Command::Lift(args) => lift::run(args, &context),
            Command::Headers(args) => headers::run(args, &context),
            Command::Doctor(args) => doctor::run(&args, &context),
            Command::Help(args) => help::run(&args, Self::explained()),
            Command::Completions(args) => completions::run(&args, Self::command()),
            Command::Man(args) => man::run(&args, Self::command(), &context),
            Command::Wallet(args) => wallet::run(args, &context),
            Command::Pay(args) => pay::run(args, &context),
        }
    }
}

/// By itself clap lists in an error whatever has a value, such as from the environment, and leaves out that there are options.
fn with_short_usage(mut command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, with_short_usage);
    }
    let rendered = command.render_usage().to_string();
    let mut usage = rendered.strip_prefix("Usage: ").unwrap_or(&rendered).to_owned();
    for option in command.get_arguments().filter(|option| option.get_env().is_some()) {
        if let (Some(long), Some([value])) = (option.get_long(), option.get_value_names()) {
            usage = usage.replace(&format!(" --{long} <{value}>"), "");
        }
    }
    command.override_usage(usage)
}

fn words(mut matches: &ArgMatches) -> String {
    let mut words = Vec::new();
    while let Some((word, inner)) = matches.subcommand() {
        words.push(word);
        matches = inner;
    }
    words.join(" ")
}

impl Command {
    /// Services log what they do; other commands only what is wrong.
    fn is_service(&self) -> bool {
        match self {
            Self::Node(_) | Self::Relayer(_) => true,
            Self::Pay(args) => args.is_service(),
            _ => false,
        }
    }
}

impl Global {
    fn start_logging(&self, service: bool) -> Result<()> {
        let filter = log_filter::at_start(self.log.as_deref(), service)?;
        log_filter::keep(match self.log_format {
            LogFormat::Human => log_lines(filter),
            LogFormat::Json => log_json(filter),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Causeway::command().debug_assert();
    }

    #[test]
    fn the_help_lists_every_command_once() {
        let tree = Causeway::command();
        let listed = |name: &str| HELP.lines().filter(|line| line.split_whitespace().next() == Some(name)).count();
        for command in tree.get_subcommands() {
            assert_eq!(listed(command.get_name()), 1, "{} in the help", command.get_name());
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Causeway::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "causeway {} --help shows no example", command.get_name());
        }
    }

    /// `causeway …` in backticks or in a block of shell. Words in capitals stand for what a reader puts in.
    fn shown(page: &str) -> Vec<Vec<String>> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
        let text = std::fs::read_to_string(path).expect("the page is there");
        let (mut commands, mut fence) = (Vec::new(), None);
        for line in text.lines().map(str::trim) {
            match (line.strip_prefix("```"), fence) {
                (Some(language), None) => fence = Some(language),
                (Some(_), Some(_)) => fence = None,
                (None, Some("sh")) => commands.push(line),
                (None, Some(_)) => {}
                (None, None) => commands.extend(line.split('`').skip(1).step_by(2)),
            }
        }
        commands.retain(|command| command.starts_with("causeway ") && !command.contains('…'));
        commands.into_iter().map(words_of).collect()
    }

    /// As a shell splits them, as far as pages need it.
    fn words_of(command: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (number, part) in command.split('\'').enumerate() {
            if number % 2 == 1 {
                words.push(part.to_owned())
            } else {
                words.extend(part.split_whitespace().map(stand_in))
            }
        }
        words
    }

    fn stand_in(word: &str) -> String {
        let given = match word {
            "TXID" => "da79f0e7da79f0e7da79f0e7da79f0e7da79f0e7da79f0e7da79f0e7da79f0e7",
            "RATE" => "12",
            "URL" => "http://127.0.0.1:1",
            "ID" => "7",
            "ADDRESS:PORT" => "127.0.0.1:9101",
            "FILTER" => "info",
            word => word,
        };
        given.to_owned()
    }

    #[test]
    fn what_the_pages_for_operators_tell_to_type_is_understood() {
        use clap::error::ErrorKind;
        for page in ["operators.md", "runbook.md"] {
            let commands = shown(page);
            assert!(commands.len() >= 4, "{page}: {commands:?}");
            for command in commands {
                let refused = Causeway::try_parse_from(&command).err();
                // A command that is only named.
                let is_named =
                    |error: &clap::Error| command.len() == 2 && error.kind() == ErrorKind::MissingRequiredArgument;
                assert!(refused.as_ref().is_none_or(is_named), "{page}: {command:?}: {}", refused.expect("refused"));
            }
        }
    }

    /// Whoever copies a line of the help finds the file that another command wrote.
    #[test]
    fn the_help_names_keystores_as_commands_write_them() {
        use crate::operator::{keys, recovery_key};
        let written = [keys::VALIDATOR_KEYSTORE, keys::OPERATOR_KEYSTORE, recovery_key::RECOVERY_KEYSTORE];
        // Chosen by whoever types `causeway keys account --out`.
        let of_users = ["me", "merchant", "payee", "payer"].map(|name| format!("{name}.keystore"));
        let help = |name: &str| {
            let tree = Causeway::command();
            tree.find_subcommand(name).expect("a command").clone().render_long_help().to_string()
        };
        for command in Causeway::command().get_subcommands() {
            let text = help(command.get_name());
            let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let named =
                text.split(|c| !is_name(c)).filter(|word| word.ends_with(".keystore") || word.ends_with(".keys"));
            for name in named {
                assert!(
                    written.contains(&name) || of_users.iter().any(|own| own == name),
                    "{} names {name}",
                    command.get_name()
                );
            }
        }
        assert!(help("node").contains(keys::VALIDATOR_KEYSTORE) && help("relayer").contains(keys::OPERATOR_KEYSTORE));
    }
}
