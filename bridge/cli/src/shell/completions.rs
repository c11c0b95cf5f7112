//! `causeway completions`: what a shell needs to complete commands, options and files.

use clap_complete::Shell;
use eyre::Result;

use crate::terminal;

/// Completions of commands and options for your shell
///
/// They are written to standard output, to be put where the shell looks for them. The Debian package has them already.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway completions bash > ~/.local/share/bash-completion/completions/causeway
  causeway completions zsh > ~/.zfunc/_causeway            # with fpath+=~/.zfunc before compinit in ~/.zshrc
  causeway completions fish > ~/.config/fish/completions/causeway.fish")]
pub struct Args {
    shell: Shell,
}

/// Runs `causeway completions`, of this tree of commands.
///
/// # Errors
///
/// Standard output is gone.
pub fn run(args: &Args, mut tree: clap::Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree, "causeway", &mut script);
    Ok(terminal::while_read(terminal::page(&script))?)
}
