//! The log: lines that a thread of its own writes to standard error, or drops.

use core::time::Duration;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Lines that may wait for a standard error that nobody reads.
const WAITING: usize = 1024;
/// How long the end waits for lines that are still to be written.
const LAST: Duration = Duration::from_secs(1);

/// Where lines go: a clone is another end of the same log.
#[derive(Clone, Debug)]
pub(crate) struct Log(SyncSender<String>);

/// Ends the log: when this goes, what was logged is written, unless nobody takes it.
#[derive(Debug)]
pub(crate) struct Writer(Mutex<Receiver<()>>);

impl Log {
    /// A log and what ends it. All clones of the log must go before the writer does.
    pub(crate) fn start() -> io::Result<(Self, Writer)> {
        let (lines, waiting) = sync_channel::<String>(WAITING);
        let (end, ended) = channel();
        std::thread::Builder::new().name("cotter-emulator-log".into()).spawn(move || {
            for line in waiting {
                // Who closed standard error, or filled its disk, wants no log; the server goes on.
                let _ = io::stderr().write_all(line.as_bytes());
            }
            drop(end);
        })?;
        Ok((Self(lines), Writer(Mutex::new(ended))))
    }

    /// Logs one line; drops it where too many wait already.
    pub(crate) fn line(&self, line: &str) {
        let _ = self.0.try_send(format!("{line}\n"));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let ended = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(LAST);
    }
}
