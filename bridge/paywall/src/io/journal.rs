//! Records in a file that only grows, a line of JSON each. Those that wait are written and synced together.
//!
//! A process that dies while it writes leaves a last line without an end. Nothing followed from it: it is cut off when the file is opened again. The file
//! is made anew of what is still remembered when the server starts, and now and then.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc;

use files::{DirectoryLock, read_optional, write_atomic};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{oneshot, watch};

const FILE: &str = "payments.jsonl";
/// Records that wait to be written; whoever adds one beyond waits.
const MOST_WAITING: usize = 4_096;

/// Writes records of one kind in the order in which they come.
pub struct Journal<R> {
    queue: mpsc::SyncSender<Entry>,
    kind: PhantomData<fn(R)>,
    /// Says why it stopped.
    stopped: watch::Receiver<Option<String>>,
}

/// Ends when a record is durable: true. False: it may not be.
pub type Durable = oneshot::Receiver<()>;

enum Entry {
    Record(String, oneshot::Sender<()>),
    Anew(Vec<u8>),
}

impl<R: Serialize + DeserializeOwned> Journal<R> {
    /// Takes a folder for this process alone, and reads what is there.
    ///
    /// # Errors
    ///
    /// Another process has it, a line in its midst is none of ours, or those of the disk.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<R>)> {
        let lock = DirectoryLock::acquire(folder).map_err(io::Error::other)?;
        let path = folder.join(FILE);
        let records = read(&path)?;
        let file = rewrite(&path, &lines(&records))?;
        let (queue, waiting) = mpsc::sync_channel(MOST_WAITING);
        let (failed, stopped) = watch::channel(None);
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
            let _lock = lock;
            if let Err(error) = write(&path, file, &waiting) {
                let _ = failed.send(Some(format!("{}: {error}", path.display()))); // Nobody may listen any more.
            }
        })?;
        Ok((Self { queue, kind: PhantomData, stopped }, records))
    }

    /// Adds a record. What follows from it waits until it is durable.
    pub fn add(&self, record: &R) -> Durable {
        let (done, durable) = oneshot::channel();
        // Without a writer `done` is dropped, which says that nothing is durable.
        let _ = self.queue.send(Entry::Record(line(record), done));
        durable
    }

    /// Why it stopped, so that nothing more may be promised; does not end before it does.
    pub async fn broken(&self) -> String {
        let mut stopped = self.stopped.clone();
        let why = stopped.wait_for(Option::is_some).await.map(|why| why.clone());
        why.ok().flatten().unwrap_or_else(|| "the journal's thread ended".to_owned())
    }

    /// Makes the file anew of these records.
    pub fn renew(&self, records: &[R]) {
        let _ = self.queue.send(Entry::Anew(lines(records)));
    }
}

fn write(path: &Path, mut file: File, waiting: &mpsc::Receiver<Entry>) -> io::Result<()> {
    while let Ok(first) = waiting.recv() {
        let (mut bytes, mut done) = (Vec::new(), Vec::new());
        for entry in std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok())) {
            match entry {
                Entry::Record(line, sender) => {
                    bytes.extend_from_slice(line.as_bytes());
                    done.push(sender);
                }
                Entry::Anew(all) => {
                    // It has all that waits to be written.
                    bytes.clear();
                    file = rewrite(path, &all)?;
                }
            }
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        for sender in done {
            let _ = sender.send(()); // Whoever asked may be gone.
        }
    }
    Ok(())
}

fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<File> {
    write_atomic(path, bytes)?;
    OpenOptions::new().append(true).mode(0o600).open(path)
}

fn read<R: DeserializeOwned>(path: &Path) -> io::Result<Vec<R>> {
    let bytes = read_optional(path)?.unwrap_or_default();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |line: &[u8]| {
        serde_json::from_slice(line).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} has a line that is no record: {error}", path.display()),
            )
        })
    };
    lines.map(record).collect()
}

fn line<R: Serialize>(record: &R) -> String {
    serde_json::to_string(record).expect("text and numbers always serialise") + "\n"
}

fn lines<R: Serialize>(records: &[R]) -> Vec<u8> {
    records.iter().map(line).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};

    use super::*;
    use crate::book::{Id, Record};

    fn record(nonce: u8) -> Record {
        Record::Failed { id: Id { payer: Address::ZERO, nonce: B256::repeat_byte(nonce) } }
    }

    #[test]
    fn what_is_durable_is_there_again_and_what_broke_off_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, found) = Journal::open(folder.path()).expect("it opens");
        assert!(found.is_empty());
        let both = [journal.add(&record(1)), journal.add(&record(2))];
        both.into_iter().for_each(|durable| durable.blocking_recv().expect("written"));
        assert!(Journal::<Record>::open(folder.path()).is_err(), "another has it");
        drop(journal);
        let path = folder.path().join(FILE);
        let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
        file.write_all(b"{\"failed\":{\"id\"").expect("written");
        let (journal, found) = reopened(folder.path());
        assert_eq!(found, [record(1), record(2)]);
        journal.renew(&[record(3)]);
        journal.add(&record(4)).blocking_recv().expect("written");
        drop(journal);
        assert_eq!(reopened(folder.path()).1, [record(3), record(4)]);
    }

    /// The thread lets the folder go when the last journal is dropped, a little later.
    fn reopened(folder: &Path) -> (Journal<Record>, Vec<Record>) {
        for _ in 0..500 {
            if let Ok(opened) = Journal::open(folder) {
                return opened;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("it stays taken")
    }

    #[test]
    fn a_line_that_is_none_of_ours_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), "nonsense\n").expect("written");
        let error = Journal::<Record>::open(folder.path()).map(|_| ()).expect_err("no record");
        assert!(error.to_string().contains("no record"), "{error}");
    }
}
