//! `causeway man`: man pages, one a command.

use std::fs;
use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr};
use serde_json::json;

use crate::context::Context;

/// Write man pages into a folder, one for each command
///
/// The Debian package has them already. Elsewhere, MANPATH or `man -M` name a folder above `man1`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway man ~/.local/share/man/man1 && man causeway-peg-in")]
pub struct Args {
    /// Where they are written; made if it is not there
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

/// Runs `causeway man`, of this tree of commands.
///
/// # Errors
///
/// The folder cannot be made, or written to.
pub fn run(args: &Args, mut tree: clap::Command, context: &Context) -> Result<()> {
    let directory = &args.directory;
    fs::create_dir_all(directory).wrap_err_with(|| format!("cannot make the folder {}", directory.display()))?;
    tree.build();
    let mut pages = Vec::new();
    write(&tree, "causeway", directory, &mut pages)
        .wrap_err_with(|| format!("cannot write into {}", directory.display()))?;
    let count = pages.len();
    context.print(&json!({ "directory": directory, "pages": pages }), || {
        println!("{count} pages in {}: man causeway, man causeway-peg-in, ...", directory.display());
    });
    Ok(())
}

/// The page of a command and those of its own commands; their names go to `written`.
fn write(command: &clap::Command, name: &str, directory: &Path, written: &mut Vec<String>) -> std::io::Result<()> {
    let titled = command.clone().display_name(name.to_owned());
    let mut page = Vec::new();
    clap_mangen::Man::new(titled)
        .title(name.to_uppercase())
        .source(concat!("causeway ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)?;
    let file = format!("{name}.1");
    fs::write(directory.join(&file), page)?;
    written.push(file);
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write(inner, &format!("{name}-{}", inner.get_name()), directory, written)?;
    }
    Ok(())
}
