//! The file: what is torn, what is damaged, how few syncs many payments take, and how it is written anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use payments::io::journal::{Journal, JournalError, Opened};

fn read(path: &Path) -> Result<(Opened, Vec<Vec<u8>>), JournalError> {
    let mut all = Vec::new();
    let opened = Opened::read(path, |record| {
        all.push(record.to_vec());
        true
    })?;
    Ok((opened, all))
}

fn start(opened: Opened) -> Journal {
    Journal::start(opened, 1 << 30, Box::new(|_| ())).expect("a thread")
}

/// A file with records of one byte each, every one in a frame of its own; and where each frame ends.
fn written(directory: &Path, records: u8) -> (PathBuf, Vec<usize>) {
    let path = directory.join("file");
    let journal = start(read(&path).expect("a file that can be written").0);
    let mut ends = Vec::new();
    for record in 0..records {
        journal
            .append(&[record + 1; 5])
            .expect("a file that can be written")
            .wait()
            .expect("a file that can be written");
        ends.push(
            usize::try_from(fs::metadata(&path).expect("a file that can be written").len())
                .expect("a file that can be written"),
        );
    }
    (path, ends)
}

#[test]
fn whatever_is_torn_off_the_end_all_that_was_durable_before_is_read_and_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let (path, ends) = written(directory.path(), 4);
    let whole = fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        // Cut off, and cut off with what was never written (zeros, or old bytes of the disk) behind.
        for junk in [&[][..], &[0; 40], &[0xff; 7]] {
            fs::write(&path, [&whole[..length], junk].concat()).unwrap();
            let whole_frames = ends.iter().filter(|end| **end <= length).count();
            let (opened, records) = read(&path).unwrap_or_else(|error| panic!("at {length}: {error}"));
            assert_eq!(records.len(), whole_frames, "at {length}");
            start(opened).append(b"more").unwrap().wait().unwrap();
            assert_eq!(read(&path).unwrap().1.len(), whole_frames + 1, "at {length}");
        }
    }
}

#[test]
fn a_changed_byte_before_the_last_frame_is_damage_and_nothing_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let (path, ends) = written(directory.path(), 4);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        fs::write(&path, &changed).unwrap();
        if at < ends[2] {
            let error = read(&path).expect_err("a later frame is whole");
            assert!(matches!(error, JournalError::Damaged { .. }), "byte {at}: {error}");
            assert_eq!(fs::read(&path).unwrap(), changed);
        } else {
            assert_eq!(read(&path).unwrap().1.len(), 3, "byte {at}: the last frame is as if it was torn");
        }
    }
}

#[test]
fn a_record_that_is_not_understood_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = written(directory.path(), 2);
    let error = Opened::read(&path, |_| false).expect_err("of another version");
    assert!(matches!(error, JournalError::Unreadable { .. }), "{error}");
}

#[test]
fn sixty_four_that_wait_at_once_share_syncs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let journal = Arc::new(start(read(&path).unwrap().0));
    let threads: Vec<_> = (0..64)
        .map(|thread: u8| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    journal.append(&[thread; 200]).unwrap().wait().unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let syncs = journal.syncs();
    assert!(syncs < 64 * 20 / 2, "{syncs} syncs for 1,280 records");
    drop(journal);
    assert_eq!(read(&path).unwrap().1.len(), 64 * 20);
}

#[test]
fn what_waits_is_written_when_it_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let journal = start(read(&path).unwrap().0);
    let tickets: Vec<_> = (0..100).map(|_| journal.append(b"record").unwrap()).collect();
    drop(journal);
    tickets.into_iter().for_each(|ticket| ticket.wait().unwrap());
    assert_eq!(read(&path).unwrap().1.len(), 100);
}

#[test]
fn a_file_that_has_outgrown_what_it_says_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let snapshot = Box::new(|each: &mut dyn FnMut(&[u8])| each(b"all so far"));
    let journal = Journal::start(read(&path).unwrap().0, 10_000, snapshot).unwrap();
    for _ in 0..200 {
        journal.append(&[1; 1_000]).unwrap().wait().unwrap();
    }
    drop(journal);
    assert!(fs::metadata(&path).unwrap().len() < 20_000);
    let (_, records) = read(&path).unwrap();
    assert_eq!(records[0], b"all so far");
    assert!(records[1..].iter().all(|record| record == &[1; 1_000]));
}

#[test]
fn when_a_write_fails_everybody_hears_it_and_nothing_is_taken_any_more() {
    // The device that is always full.
    let opened = Opened::read(Path::new("/dev/full"), |_| true);
    // Reading it gives zeros without an end: it is no file of ours.
    assert!(opened.is_err());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let snapshot = Box::new(|_: &mut dyn FnMut(&[u8])| panic!("the snapshot fails"));
    let journal = Journal::start(read(&path).unwrap().0, 0, snapshot).unwrap();
    let mut broken = pin!(journal.broken());
    let mut context = Context::from_waker(Waker::noop());
    journal.append(b"first").unwrap().wait().unwrap();
    assert!(broken.as_mut().poll(&mut context).is_pending());
    let mut later = Ok(());
    for _ in 0..1_000 {
        later = journal.append(b"later").and_then(|ticket| ticket.wait());
        if later.is_err() {
            break;
        }
    }
    assert!(matches!(later, Err(JournalError::Io { .. })), "{later:?}");
    assert!(journal.ready().is_err());
    assert!(matches!(broken.as_mut().poll(&mut context), Poll::Ready(JournalError::Io { .. })));
}
