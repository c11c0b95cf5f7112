//! `causeway operator restore`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bridge::io::relayer::RESTORED;
use eyre::{Result, WrapErr, bail, ensure};
use serde::Serialize;
use serde_json::json;

use super::archive::{Archive, MOST_BYTES};
use crate::clock::now;
use crate::context::Context;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What `causeway operator backup` wrote
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The folder to make; there must be none, or an empty one
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// The machine of this backup is gone for good, or its data is: no process of it runs, or ever will
    #[arg(long)]
    machine_is_lost: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(tag = "event", rename = "restored", rename_all = "camelCase")]
struct Restored<'a> {
    folder: &'a Path,
    network_id: &'a str,
    made_at: u64,
    files: Vec<&'a str>,
}

/// Writes the backup's files into a new folder.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let archive = read(&args.backup)?;
    if !args.machine_is_lost {
        bail!(
            "two machines of one operator vote and sign twice: make sure that no process of the lost one runs, or ever starts again, and say so by --machine-is-lost"
        );
    }
    expect_empty(&args.dir)?;
    make_folder(&args.dir)?;
    for name in archive.names() {
        let bytes = archive.get(name)?.unwrap_or_default();
        write(&args.dir, name, &bytes)?;
    }
    if archive.names().any(|name| name.starts_with("relayer/")) {
        // Until its record is made anew, the relayer takes part in nothing.
        let mark = json!({ "backupOf": archive.made_at, "restoredAt": now()? }).to_string();
        write(&args.dir, &format!("relayer/{RESTORED}"), mark.as_bytes())?;
    }
    tell(args, &archive, context)
}

fn tell(args: &Args, archive: &Archive, context: &Context) -> Result<()> {
    let files: Vec<&str> = archive.names().collect();
    if context.json {
        let Archive { network_id, made_at, .. } = archive;
        let told = Restored { folder: &args.dir, network_id, made_at: *made_at, files };
        println!("{}", serde_json::to_string(&told)?);
        return Ok(());
    }
    println!(
        "Restored into {}, of network {}. Look at the addresses in node.toml and relayer.toml, then start:",
        args.dir.display(),
        archive.network_id
    );
    for (file, command) in [("node.toml", "node"), ("relayer.toml", "relayer")] {
        if files.contains(&file) {
            println!("  causeway {command} --config {}", args.dir.join(file).display());
        }
    }
    println!(
        "Each waits until it is safe to vote and to sign, and says so in its log. Nothing else is to be copied from the lost machine."
    );
    Ok(())
}

fn read(path: &Path) -> Result<Archive> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).wrap_err_with(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= MOST_BYTES, "{} is larger than any backup", path.display());
    Archive::read(&bytes).wrap_err_with(|| path.display().to_string())
}

/// What is there may be newer than the backup, and in use.
fn expect_empty(folder: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).wrap_err_with(|| folder.display().to_string()),
    };
    ensure!(
        is_empty,
        "{} is not empty: a backup is restored into a new folder, and never over what is there",
        folder.display()
    );
    Ok(())
}

fn make_folder(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.wrap_err_with(|| format!("cannot make {}", folder.display()))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    path.parent().map_or(Ok(()), make_folder)?;
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = opened.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.wrap_err_with(|| format!("cannot write {}", path.display()))
}
