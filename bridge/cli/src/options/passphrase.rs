//! `--passphrase-stdin`: the passphrase of keys, asked for at the terminal or read from standard input.

use std::io::BufRead as _;

use eyre::{Result, WrapErr, bail, ensure};
use zeroize::Zeroizing;

/// Fewer characters are guessed quickly even against argon2.
const MIN_CHARACTERS: usize = 8;

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
    /// It is too short, was not typed the same twice, or there is neither a line nor a terminal.
    pub fn choose(&self, what: &str) -> Result<Zeroizing<String>> {
        let passphrase = self.ask(what)?;
        let length = passphrase.chars().count();
        ensure!(length >= MIN_CHARACTERS, "the passphrase has {length} characters, expected at least {MIN_CHARACTERS}");
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

/// Asks for a secret at the terminal, without showing it.
fn prompt(text: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .wrap_err("no terminal to ask for the passphrase: give it with --passphrase-stdin")
}

/// The next line of standard input with its line feed; empty at its end.
fn input_line(what: &str) -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line).wrap_err_with(|| format!("reading {what} from standard input"))?;
    Ok(line)
}
