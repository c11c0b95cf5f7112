//! What is said when a command fails: for people, or with `--json` one object, whatever it was that failed.
//!
//! ```text
//!   an error of a command    causes, outermost first        an error of the arguments    clap's words, with what was probably meant
//!   a panic                  where, and how to report it    all three                    {"error":{"code","message","detail","help"}}
//! ```

use std::ffi::OsStr;
use std::panic::PanicHookInfo;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use serde::Serialize;

use crate::audit::failure::Fault;
use crate::commands::Causeway;
use crate::exit::{self, BUG, FAILED, LIED_TO, NO_BITCOIN, NO_NODE, USAGE, Way};
use crate::terminal;

const PLEASE_REPORT: &str = "please report what it says, with the command that you gave and `causeway --version`";

/// What `--json` says of a failure, as the last line of standard error.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Failure {
    code: &'static str,
    message: String,
    /// Why, one cause each, the outermost first.
    detail: Vec<String>,
    /// A command that shows more, or what to do.
    help: String,
}

#[derive(Serialize)]
struct Line<'a> {
    error: &'a Failure,
}

/// Whether the arguments ask for JSON. Looked up by hand, because arguments that make no sense are to be told in JSON too.
pub fn wants_json<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> bool {
    let mut before_words = arguments.into_iter().take_while(|argument| argument.as_ref() != "--");
    before_words.any(|argument| argument.as_ref() == "--json")
}

/// Says why a command failed, and gives the exit status.
pub fn report(error: &eyre::Report, command: &str, json: bool) -> ExitCode {
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        return misused(error, json);
    }
    let way = way(error);
    if json {
        Failure::of(error, way, command).print();
    } else {
        eprintln!("{}", terminal::explain(error));
    }
    way.status.into()
}

/// Says what is wrong with the arguments, or shows the help that they ask for; and gives the exit status.
pub fn misused(error: &clap::Error, json: bool) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !is_answer {
        let typed: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        Failure::of_arguments(error, &help_for(&typed)).print();
    } else if let Err(error) = terminal::while_read(error.print()) {
        tracing::debug!("nobody reads it: {error}");
    }
    if is_answer { ExitCode::SUCCESS } else { USAGE.status.into() }
}

/// Makes a panic say that it is a bug, and `causeway status | head -1` end quietly: a pipe that was closed is nothing of ours.
pub fn explain_panics(json: bool) {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = message(panic);
        if message.starts_with("failed printing to std") && message.contains("Broken pipe") {
            std::process::exit(terminal::BROKEN_PIPE);
        }
        if is_of_files(&message) {
            return tracing::error!("{message}");
        }
        if json {
            return Failure::of_panic(message, panic.location().map(ToString::to_string)).print();
        }
        default(panic);
        eprintln!("error: this is a mistake in causeway, not yours: {PLEASE_REPORT}");
    }));
}

/// Whether the engine died because its files failed it, as it does on a full disk. That is no bug: the node says at its end what is to be done.
fn is_of_files(message: &str) -> bool {
    const KINDS: [&str; 7] = [
        "(WriteFailed)",
        "(ReadFailed)",
        "BlobOpenFailed(",
        "BlobResizeFailed(",
        "BlobSyncFailed(",
        "PartitionCreationFailed(",
        "No space left on device",
    ];
    KINDS.iter().any(|kind| message.contains(kind))
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn way(error: &eyre::Report) -> &'static Way {
    exit::of(error).unwrap_or_else(|| match Fault::of(error) {
        Fault::Lie => &LIED_TO,
        Fault::Node => &NO_NODE,
        Fault::Bitcoin => &NO_BITCOIN,
        Fault::Ledger | Fault::Other => &FAILED,
    })
}

impl Failure {
    fn of(error: &eyre::Report, way: &Way, command: &str) -> Self {
        let mut causes = terminal::causes(error).into_iter();
        let message = causes.next().unwrap_or_default();
        let help = if command.is_empty() { "causeway help".to_owned() } else { format!("causeway help {command}") };
        Self { code: way.code, message, detail: causes.collect(), help }
    }

    fn of_arguments(error: &clap::Error, help: &str) -> Self {
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
        let first = paragraphs.next().unwrap_or_default();
        let detail = paragraphs.filter(|part| !part.starts_with("For more information") && !part.is_empty());
        let detail = detail.map(|part| terminal::bounded(&part, terminal::MAX_CAUSE)).collect();
        let message = first.strip_prefix("error: ").unwrap_or(&first);
        Self {
            code: USAGE.code,
            message: terminal::bounded(message, terminal::MAX_CAUSE),
            detail,
            help: help.to_owned(),
        }
    }

    fn of_panic(message: String, at: Option<String>) -> Self {
        let detail = at.map(|at| format!("at {at}")).into_iter().collect();
        Self { code: BUG.code, message, detail, help: PLEASE_REPORT.to_owned() }
    }

    fn print(&self) {
        let json = serde_json::to_string(&Line { error: self }).expect("text always serialises");
        eprintln!("{}", terminal::escaped(&json));
    }
}

/// The command that shows the help of what was typed, as far as that names commands.
fn help_for(typed: &[String]) -> String {
    let tree = Causeway::command();
    let (mut command, mut help) = (&tree, "causeway help".to_owned());
    for word in typed {
        if let Some(inner) = command.find_subcommand(word).filter(|inner| inner.get_name() != "help") {
            command = inner;
            help = format!("{help} {word}");
        }
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyre::eyre;

    #[test]
    fn json_is_asked_for_by_its_option_alone() {
        assert!(wants_json(["status", "--json"]));
        assert!(wants_json(["--json", "nonsense"]));
        assert!(!wants_json(["status"]));
        assert!(!wants_json(["status", "--", "--json"]));
    }

    #[test]
    fn an_engine_that_its_files_fail_is_no_mistake_of_ours() {
        // As the engine says it on a full disk.
        assert!(is_of_files("unable to append to journal: Runtime(WriteFailed)"));
        assert!(is_of_files(
            "failed to persist verified: journal error: io error: No space left on device (os error 28)"
        ));
        assert!(!is_of_files("called `Option::unwrap()` on a `None` value"));
    }

    #[test]
    fn a_failure_has_a_code_what_failed_why_and_where_there_is_more() {
        let down = bridge::io::sidechain::Error::Down { url: "http://node".to_owned(), reason: "refused".to_owned() };
        let error = eyre::Report::from(down).wrap_err("no answer");
        let failure = Failure::of(&error, way(&error), "status");
        assert_eq!(
            (failure.code, failure.message.as_str(), failure.help.as_str()),
            ("node", "no answer", "causeway help status")
        );
        assert!(failure.detail.iter().any(|cause| cause.contains("http://node")), "{failure:?}");
        let full = eyre!("the disk is full");
        assert_eq!(Failure::of(&full, way(&full), "").code, "failed");
    }

    #[test]
    fn arguments_that_make_no_sense_are_told_with_what_was_probably_meant() {
        let parse = |arguments: &[&str]| {
            let words = ["causeway"].iter().chain(arguments);
            let error = Causeway::command().try_get_matches_from(words).expect_err("wrong");
            let typed: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
            Failure::of_arguments(&error, &help_for(&typed))
        };
        let wrong = parse(&["stats"]);
        assert_eq!((wrong.code, wrong.message.as_str()), ("usage", "unrecognized subcommand 'stats'"));
        assert!(wrong.detail.iter().any(|part| part.contains("'status'")), "{wrong:?}");
        let wrong = parse(&["peg-out", "--amount", "5"]);
        assert_eq!(wrong.help, "causeway help peg-out", "{wrong:?}");
        assert!(wrong.message.contains("--amount"), "{wrong:?}");
    }

    #[test]
    fn a_panic_is_called_a_bug_and_says_where() {
        let failure = Failure::of_panic("index out of bounds".into(), Some("src/x.rs:7:1".into()));
        assert_eq!((failure.code, failure.detail), ("bug", vec!["at src/x.rs:7:1".to_owned()]));
        assert!(failure.help.contains("report"));
    }
}
