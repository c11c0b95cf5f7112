//! A file of records, written in groups: one sync for all records that wait.
//!
//! ```text
//!   append(a) ticket 1 --\                          /--> ticket 1 is durable
//!   append(b) ticket 2 ---+--> one frame, one sync +---> ticket 2 is durable
//!   append(c) ticket 3 --/     (d, e, f wait)       \--> ticket 3 is durable
//! ```
//! While the disk syncs one group, the next gathers, so that many in flight cost as many syncs as the disk can do, not one each. When the file has outgrown
//! what it says, it is written anew beside itself, from the state as it is, and renamed. A write that fails is the end: nothing is durable any more, every
//! ticket says so, and whoever opens the file again finds what was.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use files::LockError;

use crate::frame::{HEADER_BYTES, Header, MAX_PAYLOAD_BYTES, MAX_RECORD_BYTES, any_whole, encode, put_record, records};

/// A file is written anew when it is so much larger than twice what it was then: some 300,000 payments.
pub const SLACK_BYTES: u64 = 64 << 20;

/// Records that lead to the state as it is: called by the writer when the file is written anew, with what takes each record.
pub type Snapshot = Box<dyn Fn(&mut dyn FnMut(&[u8])) + Send>;

/// Why a file cannot be used, or a record is not durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A damaged disk, or another program wrote in it: restore it, or claim what the chain shows and begin anew.
    #[error("{path} is damaged at byte {at}: a later record is whole", path = path.display())]
    Damaged { path: PathBuf, at: u64 },
    #[error("{path} has a record of another version in the frame before byte {at}", path = path.display())]
    Unreadable { path: PathBuf, at: u64 },
    #[error("cannot use {path}: {error}", path = path.display())]
    Io { path: PathBuf, error: String },
    /// Too much waits for the disk: try again.
    #[error("{waiting} bytes wait for the disk, {most} may")]
    Full { waiting: usize, most: usize },
}

/// Why a payee or a payer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("no thread for the file: {0}")]
    Thread(std::io::Error),
}

/// A file that was read, to be written on.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    file: File,
    bytes: u64,
    number: u64,
}

/// The file, with the thread that writes it. Dropped, it writes what waits, and ends.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// A record's place: tells when it is durable. For a thread [`Ticket::wait`], for a task a future.
#[must_use]
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    position: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or nothing any more.
    written: Condvar,
    /// Something became durable, or nothing will.
    synced: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    appended: u64,
    durable: u64,
    /// Syncs so far.
    syncs: u64,
    wakers: Vec<Waker>,
    failed: Option<JournalError>,
    ends: bool,
}

impl Opened {
    /// Reads a file from the start; makes it when it is missing. `each` gets every record in order, and says whether it could read it. What was
    /// torn off when it was written last is cut off.
    ///
    /// # Errors
    ///
    /// `Damaged`, `Unreadable`: nothing was changed. `Io`: no rights, or the disk is full or damaged.
    pub fn read(path: &Path, mut each: impl FnMut(&[u8]) -> bool) -> Result<Self, JournalError> {
        let failed = |error: io::Error| JournalError::Io { path: path.to_owned(), error: error.to_string() };
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        sync_directory(path).map_err(failed)?;
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let (mut bytes, mut number) = (0, 0);
        loop {
            match read_frame(&mut reader, number).map_err(failed)? {
                Next::End => break,
                Next::Frame { header, payload } => {
                    bytes += (HEADER_BYTES + payload.len()) as u64;
                    let readable = records(&payload).is_some_and(|all| all.into_iter().all(&mut each));
                    if !readable {
                        return Err(JournalError::Unreadable { path: path.to_owned(), at: bytes });
                    }
                    number = header.number + 1;
                }
                Next::Torn { follows } => {
                    if follows {
                        return Err(JournalError::Damaged { path: path.to_owned(), at: bytes });
                    }
                    file.set_len(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
                    break;
                }
            }
        }
        let mut file = file;
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, bytes, number })
    }
}

enum Next {
    End,
    Frame { header: Header, payload: Vec<u8> },
    Torn { follows: bool },
}

/// The next frame. A torn one is at most as long as a whole one; what is longer, or has a whole frame in it, is damage.
fn read_frame(reader: &mut impl Read, number: u64) -> io::Result<Next> {
    let start = read_up_to(reader, HEADER_BYTES)?;
    if start.is_empty() {
        return Ok(Next::End);
    }
    let header = <&[u8; HEADER_BYTES]>::try_from(&start[..]).ok().and_then(Header::of);
    let payload = match header {
        Some(header) => read_up_to(reader, header.payload_bytes)?,
        None => Vec::new(),
    };
    if let Some(header) = header.filter(|header| header.number >= number && header.fits(&payload)) {
        return Ok(Next::Frame { header, payload });
    }
    let most = HEADER_BYTES + MAX_PAYLOAD_BYTES;
    let rest = read_up_to(reader, most + 1)?;
    let all = [start, payload, rest].concat();
    Ok(Next::Torn { follows: all.len() > most || any_whole(&all[1..], number) })
}

fn read_up_to(reader: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

impl Journal {
    /// Writes on.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub fn start(opened: Opened, slack_bytes: u64, snapshot: Snapshot) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let floor = opened.bytes;
        let writer = Writer { opened, slack_bytes, floor, snapshot, shared: shared.clone() };
        let writer = std::thread::Builder::new().name("payments".into()).spawn(move || writer.run())?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Whether records can be appended now. As long as the caller lets nobody else append, some then can: asked before something is decided, it keeps
    /// decisions out that could not be written down.
    ///
    /// # Errors
    ///
    /// `Full`: try again. Others: it is over.
    pub fn ready(&self) -> Result<(), JournalError> {
        self.shared.lock().room(MAX_PAYLOAD_BYTES / 2)
    }

    /// Appends a record; it is durable when the ticket says so.
    ///
    /// # Errors
    ///
    /// As [`Journal::ready`].
    pub fn append(&self, record: &[u8]) -> Result<Ticket, JournalError> {
        let mut state = self.shared.lock();
        state.room(MAX_PAYLOAD_BYTES - MAX_RECORD_BYTES)?;
        put_record(&mut state.waiting, record);
        state.appended += 1;
        let position = state.appended;
        drop(state);
        self.shared.written.notify_one();
        Ok(Ticket { shared: self.shared.clone(), position })
    }

    /// For all that was appended so far.
    pub fn latest(&self) -> Ticket {
        Ticket { shared: self.shared.clone(), position: self.shared.lock().appended }
    }

    /// Ends when a write failed, with the reason: from then on nothing is taken any more.
    pub async fn broken(&self) -> JournalError {
        loop {
            let beyond_all = Ticket { shared: self.shared.clone(), position: u64::MAX };
            if let Err(why) = beyond_all.await {
                return why;
            }
        }
    }

    /// How often the disk was synced for records.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.shared.lock().syncs
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.written.notify_one();
        if let Some(writer) = self.writer.take() {
            // A panic in it was told where it happened.
            let _ = writer.join();
        }
    }
}

impl Ticket {
    /// The record's number, from 1.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The last record's number that is durable: all before it are.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.shared.lock().durable
    }

    /// Waits until the record is durable.
    ///
    /// # Errors
    ///
    /// It will never be: the write failed.
    pub fn wait(&self) -> Result<(), JournalError> {
        let mut state = self.shared.lock();
        loop {
            if let Some(end) = state.end_of(self.position) {
                return end;
            }
            state = self.shared.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Ticket {
    type Output = Result<(), JournalError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        if let Some(end) = state.end_of(self.position) {
            return Poll::Ready(end);
        }
        // All are woken by the next sync, so there are never more than wait for it.
        state.wakers.push(context.waker().clone());
        Poll::Pending
    }
}

impl State {
    fn room(&self, most: usize) -> Result<(), JournalError> {
        match &self.failed {
            Some(failed) => Err(failed.clone()),
            None if self.waiting.len() > most => Err(JournalError::Full { waiting: self.waiting.len(), most }),
            None => Ok(()),
        }
    }

    fn end_of(&self, position: u64) -> Option<Result<(), JournalError>> {
        if self.durable >= position {
            return Some(Ok(()));
        }
        self.failed.clone().map(Err)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next group, and the last position in it; none when it is over.
    fn next(&self) -> Option<(Vec<u8>, u64)> {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.ends {
            state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let group = std::mem::take(&mut state.waiting);
        (!group.is_empty()).then_some((group, state.appended))
    }

    fn done(&self, position: u64, result: Result<(), JournalError>) {
        let mut state = self.lock();
        match result {
            Ok(()) => (state.durable, state.syncs) = (position, state.syncs + 1),
            Err(error) => state.failed = Some(error),
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.synced.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The thread that writes.
struct Writer {
    opened: Opened,
    slack_bytes: u64,
    /// The file's size when it was opened or written anew last.
    floor: u64,
    snapshot: Snapshot,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self) {
        // However it ends, nobody waits for ever.
        let end = OnEnd { shared: self.shared.clone(), path: self.opened.path.clone() };
        while let Some((group, position)) = self.shared.next() {
            let result = self.write(&group);
            let failed = result.is_err();
            self.shared.done(position, result);
            if failed {
                break;
            }
            let rewritten = if self.is_outgrown() { self.rewrite() } else { Ok(()) };
            if let Err(error) = rewritten {
                self.shared.done(position, Err(self.failed(&error)));
                break;
            }
        }
        drop(end);
    }

    fn write(&mut self, group: &[u8]) -> Result<(), JournalError> {
        let frame = encode(self.opened.number, group);
        let written = self.opened.file.write_all(&frame).and_then(|()| self.opened.file.sync_data());
        written.map_err(|error| self.failed(&error))?;
        self.opened.number += 1;
        self.opened.bytes += frame.len() as u64;
        Ok(())
    }

    fn is_outgrown(&self) -> bool {
        self.opened.bytes > self.floor.saturating_mul(2).saturating_add(self.slack_bytes)
    }

    /// All that was written is in the state that the snapshot shows, and what is in it too early is written once more after it, which changes nothing.
    fn rewrite(&mut self) -> io::Result<()> {
        let path = self.opened.path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let (mut payload, mut number, mut bytes) = (Vec::new(), self.opened.number, 0);
        let mut result = Ok(());
        let mut flush = |payload: &mut Vec<u8>| {
            let frame = encode(number, payload);
            payload.clear();
            (number, bytes) = (number + 1, bytes + frame.len() as u64);
            file.write_all(&frame)
        };
        (self.snapshot)(&mut |record| {
            put_record(&mut payload, record);
            if payload.len() > MAX_PAYLOAD_BYTES / 4 && result.is_ok() {
                result = flush(&mut payload);
            }
        });
        result.and_then(|()| flush(&mut payload))?;
        file.sync_all()?;
        std::fs::rename(&path, &self.opened.path)?;
        sync_directory(&self.opened.path)?;
        (self.opened.file, self.opened.number, self.opened.bytes, self.floor) = (file, number, bytes, bytes);
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> JournalError {
        JournalError::Io { path: self.opened.path.clone(), error: error.to_string() }
    }
}

/// Tells all who wait that nothing comes any more.
struct OnEnd {
    shared: Arc<Shared>,
    path: PathBuf,
}

impl Drop for OnEnd {
    fn drop(&mut self) {
        let ended = self.shared.lock().failed.clone().unwrap_or_else(|| JournalError::Io {
            path: self.path.clone(),
            error: io::Error::new(ErrorKind::BrokenPipe, "its writer has ended").to_string(),
        });
        self.shared.done(0, Err(ended));
    }
}
