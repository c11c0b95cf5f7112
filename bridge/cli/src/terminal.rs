//! The one way to the terminal: whatever this program prints, logs or reports as an error goes through here, and nothing that a
//! terminal obeys comes through, whoever wrote it ([`bridge::foreign`]).
//!
//! ```text
//!   println!, eprintln!   of this crate, in place of the standard library's   -> filtered
//!   an error's causes                                                         -> filtered, bounded, later lines indented
//!   fields of a log line                                                      -> on one line, filtered, bounded
//!   JSON, logged or printed                                                   -> escaped, so that scripts lose nothing
//!   a page that was fetched                                                   -> filtered, unless it goes into a pipe or a file
//! ```
//! A line feed in a foreign text could still begin a line that looks like ours; [`bridge::foreign::shown`] takes those out where a
//! foreign text is put into a sentence.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write};

use bridge::foreign::{lines, obeyed};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format;

/// Characters shown of one cause of an error; the longest of our own, a file's syntax error with its lines, have a few hundred.
pub const MAX_CAUSE: usize = 2_000;
/// Characters shown of one field of a log line.
const MAX_FIELD: usize = 2_000;

/// As the standard library's, filtered.
macro_rules! println {
    () => { $crate::terminal::out("\n") };
    ($($text:tt)*) => { $crate::terminal::out(&(format!($($text)*) + "\n")) };
}

/// As the standard library's, filtered.
macro_rules! eprintln {
    () => { $crate::terminal::err("\n") };
    ($($text:tt)*) => { $crate::terminal::err(&(format!($($text)*) + "\n")) };
}

/// Writes to standard output.
pub fn out(text: &str) {
    crate::screen::aside(|| std::print!("{}", lines(text)));
}

/// As a shell reports a process that ended by SIGPIPE.
pub const BROKEN_PIPE: i32 = 128 + 13;

/// Ends the process without a word where nobody reads any more what was written, as after `| head -1`. Whatever else went wrong is the caller's.
///
/// # Errors
///
/// It could not be written for another reason.
pub fn while_read(written: io::Result<()>) -> io::Result<()> {
    if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(BROKEN_PIPE);
    }
    written
}

/// Writes what somebody else's server sent to standard output: as it came for a pipe or a file, filtered for a terminal.
///
/// # Errors
///
/// Standard output is gone.
pub fn page(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        stdout.write_all(lines(&String::from_utf8_lossy(bytes)).as_bytes())?;
    } else {
        stdout.write_all(bytes)?;
    }
    stdout.flush()
}

/// Writes to standard error.
pub fn err(text: &str) {
    crate::screen::aside(|| std::eprint!("{}", lines(text)));
}

/// JSON in which everything that a terminal obeys is escaped: it reads back as it was.
pub fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if obeyed(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}"); // A string takes whatever is written.
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// An error with its causes, outermost first, as it is shown.
pub fn explain(error: &eyre::Report) -> String {
    let causes: Vec<String> = causes(error).iter().map(|cause| cause.replace('\n', "\n    ")).collect();
    format!("error: {}", causes.join("\n  because "))
}

/// An error and its causes, outermost first, each bounded; without those that the one before says already.
pub fn causes(error: &eyre::Report) -> Vec<String> {
    let mut causes = vec![bounded(&error.to_string(), MAX_CAUSE)];
    let mut last = error.to_string();
    for source in error.chain().skip(1) {
        let next = source.to_string();
        if !last.contains(&next) {
            causes.push(bounded(&next, MAX_CAUSE));
        }
        last = next;
    }
    causes
}

pub fn bounded(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Puts another filter in the place of the one in use.
pub type Replace = Box<dyn Fn(EnvFilter) -> Result<(), tracing_subscriber::reload::Error> + Send + Sync>;

/// Logs for people to standard error; how its filter is replaced.
pub fn log_lines(filter: EnvFilter) -> Replace {
    let fields = format::debug_fn(|writer, field, value| {
        let value = one_line(value);
        match field.name() {
            "message" => writer.write_str(&value),
            name => write!(writer, "{name}={value}"),
        }
    });
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .fmt_fields(fields.delimited(" "))
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    builder.init();
    Box::new(move |filter| handle.reload(filter))
}

/// Logs for programs to standard error, one object a line; how its filter is replaced.
pub fn log_json(filter: EnvFilter) -> Replace {
    let builder = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Escaped(io::stderr())).json();
    let builder = builder.flatten_event(true).with_env_filter(filter).with_filter_reloading();
    let handle = builder.reload_handle();
    builder.init();
    Box::new(move |filter| handle.reload(filter))
}

/// Whether a person looks at the log.
pub fn is_logged_to() -> bool {
    io::stderr().is_terminal()
}

fn one_line(value: &dyn fmt::Debug) -> String {
    let text = bounded(&format!("{value:?}"), MAX_FIELD);
    lines(&text).replace(['\n', '\t'], " ")
}

/// Writes whole lines of JSON, escaped.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(escaped(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyre::eyre;

    const ATTACK: &str = "\u{1b}[2J\u{9b}H\u{202e}x\r\nerror: forged \u{200b}";

    #[test]
    fn an_error_shows_nothing_that_a_terminal_obeys_and_no_forged_line() {
        let error = eyre!("{ATTACK}").wrap_err("the node says no").wrap_err(ATTACK);
        let shown = lines(&explain(&error));
        assert!(!shown.chars().any(|c| obeyed(c) && c != '\n'), "{shown:?}");
        assert_eq!(shown.lines().filter(|line| line.starts_with("error:")).count(), 1, "{shown}");
        let long = explain(&eyre!("{}", "x".repeat(1_000_000)));
        assert!(long.len() < 3 * MAX_CAUSE);
    }

    #[test]
    fn a_cause_that_its_error_says_already_is_not_repeated() {
        let error = eyre!("no money").wrap_err("nothing was sent: no money").wrap_err("no");
        assert_eq!(explain(&error), "error: no\n  because nothing was sent: no money");
    }

    #[test]
    fn json_is_escaped_and_reads_back_as_it_was() {
        let json = serde_json::to_string(&[ATTACK, "tag \u{e0041}"]).expect("text");
        let safe = escaped(&json);
        assert!(!safe.chars().any(obeyed), "{safe:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).expect("JSON"), [ATTACK, "tag \u{e0041}"]);
    }

    #[test]
    fn nothing_else_in_this_program_writes_to_the_terminal() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the source is there").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("terminal.rs") {
                    read += 1;
                    let text = std::fs::read_to_string(&path).expect("Rust is UTF-8");
                    for way in ["stdout()", "print!(", "std::println", "std::eprintln", "fmt().init", "fmt::init"] {
                        assert!(!text.contains(way), "{} writes by {way}", path.display());
                    }
                }
            }
        }
        assert!(read > 50, "{read} files");
    }

    #[test]
    fn a_logged_value_stays_on_its_line() {
        let line = one_line(&format_args!("{ATTACK}"));
        assert!(!line.chars().any(obeyed), "{line:?}");
        assert!(one_line(&"x".repeat(1_000_000)).len() < 2 * MAX_FIELD);
    }
}
