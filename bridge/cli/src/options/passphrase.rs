//! `--passphrase-stdin`: the passphrase of keys, asked for at the terminal or read from standard input.
//!
//! A keystore is as safe as its passphrase: whoever has the file tries guesses, as many at once as they pay for. So one that is chosen
//! is measured by how many guesses it takes of somebody who knows words, names, dates, keyboards and leaked passwords, and one that
//! takes too few is refused. One rule: everywhere except for regtest, whose coins have no value.

use std::io::{BufRead, Read as _};

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

#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from the first line of standard input instead of asking for it
    #[arg(long)]
    pub passphrase_stdin: bool,
}

impl PassphraseArgs {
    /// The passphrase of keys that exist, named by `what`. To be called once: it takes the first line of standard input.
    ///
    /// # Errors
    ///
    /// There is neither a line nor a terminal.
    pub fn ask(&self, what: &str) -> Result<Zeroizing<String>> {
        if !self.passphrase_stdin {
            return prompt(&format!("Passphrase of {what}: "));
        }
        let line = input_line("the passphrase")?;
        ensure!(!line.is_empty(), "standard input is empty: --passphrase-stdin wants the passphrase as its first line");
        Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// A passphrase for new keys, named by `what`. At the terminal it is typed twice.
    ///
    /// # Errors
    ///
    /// It is too short, too easily guessed for what is at stake, was not typed the same twice, or there is neither a line nor a terminal.
    pub fn choose(&self, what: &str, stake: Stake) -> Result<Zeroizing<String>> {
        let passphrase = self.ask(what)?;
        check_strength(&passphrase, stake)?;
        if !self.passphrase_stdin && prompt("The same again: ")? != passphrase {
            bail!("the two passphrases differ; nothing was written");
        }
        Ok(passphrase)
    }

    /// Another secret than the passphrase, named by `what`: the next line of standard input, where that has the passphrase.
    ///
    /// # Errors
    ///
    /// Standard input cannot be read, or there is no terminal.
    pub fn ask_next(&self, what: &str) -> Result<Zeroizing<String>> {
        if self.passphrase_stdin {
            return input_line(&format!("the {what}"));
        }
        prompt(&format!("The {what}: "))
    }
}

/// Whether a passphrase may be chosen. What is said of a weak one does not show it.
fn check_strength(passphrase: &str, stake: Stake) -> Result<()> {
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

/// Asks for a secret at the terminal, without showing it.
fn prompt(text: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .wrap_err("no terminal to ask for the passphrase: give it with --passphrase-stdin")
}

/// The next line of standard input with its line feed; empty at its end. It never grows, so that it leaves no copy behind.
fn input_line(what: &str) -> Result<Zeroizing<String>> {
    line_of(&mut std::io::stdin().lock(), what)
}

fn line_of(input: &mut impl BufRead, what: &str) -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_LINE_BYTES + 1));
    let read = input.take(MAX_LINE_BYTES as u64 + 1).read_line(&mut line);
    let read = read.wrap_err_with(|| format!("reading {what} from standard input"))?;
    ensure!(read <= MAX_LINE_BYTES, "{what} on standard input has more than {MAX_LINE_BYTES} bytes");
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
