//! `--passphrase-stdin`, `--passphrase-fd`, `--passphrase-file`: the passphrase of keys, asked for at the terminal or read from what only
//! this process and its owner can read.
//!
//! A keystore is as safe as its passphrase: whoever has the file tries guesses, as many at once as they pay for. So one that is chosen
//! is measured by how many guesses it takes of somebody who knows words, names, dates, keyboards and leaked passwords, and one that
//! takes too few is refused. One rule: everywhere except for regtest, whose coins have no value.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, bail, ensure};
use mainchain::Network;
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

/// Fewer characters are guessed quickly even against argon2.
const MIN_CHARACTERS: usize = 8;

/// Bytes of the longest line that is read: many times a mnemonic of 24 words, and no file by mistake.
const MAX_LINE_BYTES: usize = 1024;

/// The least score of a passphrase before coins: more than 10^10 guesses. argon2 takes 0.2 s for each, so these are 60 years of one core;
/// the next lower score, 10^8, is eight months, which many rented cores make an afternoon.
const LEAST_SCORE: Score = Score::Four;

/// What anybody tries first, who knows what the file is for.
const OBVIOUS: [&str; 12] = [
    "causeway",
    "bitcoin",
    "satoshi",
    "sidechain",
    "federation",
    "validator",
    "relayer",
    "recovery",
    "wallet",
    "passphrase",
    // Of two drawings that everybody has seen.
    "correct horse battery staple",
    "tr0ub4dor&3",
];

/// What is lost with a passphrase that is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stake {
    /// Coins.
    Coins,
    /// Coins of regtest, which anybody can mine.
    Nothing,
}

impl From<Network> for Stake {
    fn from(network: Network) -> Self {
        if network == Network::Regtest { Self::Nothing } else { Self::Coins }
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from the first line of standard input instead of asking for it
    #[arg(long, conflicts_with_all = ["passphrase_fd", "passphrase_file"])]
    pub passphrase_stdin: bool,
    /// For services: read it from the first line of an open file descriptor, e.g. of a pipe
    #[arg(long, value_name = "N", conflicts_with = "passphrase_file", value_parser = clap::value_parser!(u32).range(3..1024))]
    pub passphrase_fd: Option<u32>,
    /// For services: read it from the first line of a file that its owner alone can read
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase of keys that exist, named by `what`. To be called once: it takes the first line of standard input.
    ///
    /// # Errors
    ///
    /// There is neither a line nor a terminal.
    pub fn ask(&self, what: &str) -> Result<Zeroizing<String>> {
        let (line, place, option) = if self.passphrase_stdin {
            (input_line("the passphrase on standard input")?, "standard input".to_owned(), "--passphrase-stdin")
        } else if let Some(number) = self.passphrase_fd {
            let place = format!("file descriptor {number}");
            let file = File::open(format!("/dev/fd/{number}"));
            let file = file.wrap_err_with(|| format!("{place}, named by --passphrase-fd, cannot be read"))?;
            (line_of(&mut BufReader::new(file), &format!("the passphrase in {place}"))?, place, "--passphrase-fd")
        } else if let Some(path) = &self.passphrase_file {
            let place = path.display().to_string();
            (
                line_of(&mut BufReader::new(private(path)?), &format!("the passphrase in {place}"))?,
                place,
                "--passphrase-file",
            )
        } else {
            return prompt(&format!("Passphrase of {what}: "));
        };
        ensure!(!line.is_empty(), "{place} is empty: {option} wants the passphrase as its first line");
        Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Nobody types it.
    pub fn is_given(&self) -> bool {
        self.passphrase_stdin || self.passphrase_fd.is_some() || self.passphrase_file.is_some()
    }

    /// A passphrase for new keys, named by `what`. At the terminal it is typed twice.
    ///
    /// # Errors
    ///
    /// It is too short, too easily guessed for what is at stake, was not typed the same twice, or there is neither a line nor a terminal.
    pub fn choose(&self, what: &str, stake: Stake) -> Result<Zeroizing<String>> {
        let passphrase = self.ask(what)?;
        check_strength(&passphrase, stake)?;
        if !self.is_given() && prompt("The same again: ")? != passphrase {
            bail!("the two passphrases differ; nothing was written");
        }
        Ok(passphrase)
    }

    /// Another secret than the passphrase, named by `what`: the next line of standard input, where the passphrase is not typed.
    ///
    /// # Errors
    ///
    /// Standard input cannot be read, or there is no terminal.
    pub fn ask_next(&self, what: &str) -> Result<Zeroizing<String>> {
        if self.is_given() {
            return input_line(&format!("the {what} on standard input"));
        }
        prompt(&format!("The {what}: "))
    }
}

/// Whether a passphrase may be chosen. What is said of a weak one does not show it.
///
/// # Errors
///
/// It is too short, or too easily guessed for what is at stake.
pub fn check_strength(passphrase: &str, stake: Stake) -> Result<()> {
    let length = passphrase.chars().count();
    ensure!(length >= MIN_CHARACTERS, "the passphrase has {length} characters, expected at least {MIN_CHARACTERS}");
    ensure!(passphrase.len() < MAX_LINE_BYTES, "the passphrase has {MAX_LINE_BYTES} bytes or more");
    if stake == Stake::Nothing {
        return Ok(());
    }
    let measured = zxcvbn(passphrase, &OBVIOUS);
    if measured.score() >= LEAST_SCORE {
        return Ok(());
    }
    let why: String = measured.feedback().map(explain).unwrap_or_default();
    bail!(
        "the passphrase is too weak to stand before coins: about {} guesses find it, expected more than 10000000000. {why}Take five or more \
         words drawn by dice or a password manager; nothing was written",
        measured.guesses()
    )
}

/// What is wrong with a passphrase, and what would help.
fn explain(feedback: &zxcvbn::feedback::Feedback) -> String {
    let warning = feedback.warning().map(|warning| format!("{warning} "));
    let suggestions = feedback.suggestions().iter().map(|suggestion| format!("{suggestion} "));
    warning.into_iter().chain(suggestions).collect()
}

/// A file that nobody but its owner can read.
fn private(path: &Path) -> Result<File> {
    let shown = path.display();
    let file = File::open(path).wrap_err_with(|| format!("cannot read {shown}, named by --passphrase-file"))?;
    let facts = file.metadata().wrap_err_with(|| format!("cannot look at {shown}"))?;
    ensure!(facts.is_file(), "{shown}, named by --passphrase-file, is not a file (--passphrase-fd reads from a pipe)");
    let mode = facts.mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "others than its owner can use {shown}: its mode is {mode:o}, expected 600 or 400 (chmod 600 {shown})"
    );
    Ok(file)
}

/// Asks for a secret at the terminal, without showing it.
fn prompt(text: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(text).map(Zeroizing::new).wrap_err(
        "no terminal to ask for the passphrase: give it with --passphrase-stdin, --passphrase-fd or --passphrase-file",
    )
}

/// The next line of standard input with its line feed; empty at its end. It never grows, so that it leaves no copy behind.
fn input_line(what: &str) -> Result<Zeroizing<String>> {
    line_of(&mut std::io::stdin().lock(), what)
}

fn line_of(input: &mut impl BufRead, what: &str) -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_LINE_BYTES + 1));
    let read = input.take(MAX_LINE_BYTES as u64 + 1).read_line(&mut line);
    let read = read.wrap_err_with(|| format!("reading {what}"))?;
    ensure!(read <= MAX_LINE_BYTES, "{what} has more than {MAX_LINE_BYTES} bytes");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_that_is_guessed_is_refused_before_coins_with_words_that_do_not_show_it() {
        let weak = [
            ("password1234", "password"),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", "Repeats"),
            ("qwertyuiop[]", "keys"),
            ("causewaybitcoin", ""),
            ("satoshi-2024", ""),
            ("abcdefghijklmnop", "Sequences"),
        ];
        for (passphrase, why) in weak {
            let error = check_strength(passphrase, Stake::Coins).expect_err(passphrase).to_string();
            assert!(error.contains("too weak") && error.contains(why), "{error}");
            assert!(!error.contains(passphrase), "{error}");
            check_strength(passphrase, Network::Regtest.into()).expect("regtest's coins have no value");
        }
        assert!(check_strength("1234567", Stake::Nothing).expect_err("short").to_string().contains("7 characters"));
    }

    #[test]
    fn drawn_words_and_drawn_characters_are_taken() {
        for passphrase in ["lunar pocket anvil mustard tram", "correct horse battery", "t7#Qz!m2Lw9k", "kxqvzjwpyhtgbn"]
        {
            check_strength(passphrase, Stake::Coins).expect(passphrase);
        }
        let long = "anvil ".repeat(MAX_LINE_BYTES);
        assert!(check_strength(&long, Stake::Coins).is_err());
    }

    #[test]
    fn a_file_with_a_passphrase_is_read_only_if_it_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse\r\nsecond line\n").expect("written");
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
        let args = PassphraseArgs { passphrase_file: Some(path.clone()), ..PassphraseArgs::default() };
        for open in [0o644, 0o640, 0o602] {
            mode(open);
            let refused = args.ask("the wallet").expect_err("others can use it").to_string();
            assert!(refused.contains(&format!("{open:o}")) && refused.contains("chmod 600"), "{refused}");
        }
        mode(0o600);
        assert_eq!(args.ask("the wallet").expect("its owner's").as_str(), "correct horse");
        std::fs::write(&path, "").expect("written");
        assert!(args.ask("the wallet").expect_err("empty").to_string().contains("is empty"));
        let folder = PassphraseArgs { passphrase_file: Some(folder.path().to_owned()), ..PassphraseArgs::default() };
        assert!(folder.ask("the wallet").expect_err("a folder").to_string().contains("passphrase-file"));
    }

    #[test]
    fn every_network_but_regtest_has_coins_at_stake() {
        for network in [Network::Mainnet, Network::Testnet4, Network::Signet] {
            assert_eq!(Stake::from(network), Stake::Coins);
        }
        assert_eq!(Stake::from(Network::Regtest), Stake::Nothing);
    }

    #[test]
    fn a_line_without_an_end_is_read_no_further_than_its_bound() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'a'));
        assert!(
            line_of(&mut endless, "the passphrase").expect_err("endless").to_string().contains("more than 1024 bytes")
        );
        let mut two = std::io::Cursor::new(b"first\nsecond\n".to_vec());
        let lines = [(); 3].map(|()| line_of(&mut two, "a line").expect("there"));
        assert_eq!(lines.each_ref().map(|line| line.as_str()), ["first\n", "second\n", ""]);
        let capacity =
            line_of(&mut std::io::Cursor::new(vec![b'a'; MAX_LINE_BYTES]), "a line").expect("fits").capacity();
        assert_eq!(capacity, MAX_LINE_BYTES + 1);
    }
}
