//! One connection, which may be slow, half open, or nobody's.

use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use crate::request::{self, MAX_HEAD};

/// How long a request may take to arrive, and an answer to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long is waited for a browser to hang up, so that what it was sent is not torn from it.
const FAREWELL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    since: Instant,
    heard: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Hearing,
    Telling { answer: Vec<u8>, told: usize },
    Leaving { since: Instant },
    Over,
}

impl Connection {
    /// Takes a stream that does not block.
    pub(crate) fn new(stream: TcpStream, now: Instant) -> Self {
        Self { stream, since: now, heard: Vec::new(), state: State::Hearing }
    }

    /// Whether nothing has been answered yet.
    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Hearing)
    }

    /// Whether the answer has left, or never will.
    pub(crate) const fn is_told(&self) -> bool {
        matches!(self.state, State::Leaving { .. } | State::Over)
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Goes on as far as it can; `answer` is asked once, when the head is whole or hopeless.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        answer: impl FnOnce(&request::Read<'_>) -> Vec<u8>,
    ) {
        if self.is_waiting() {
            self.hear(now, answer);
        }
        if let State::Telling { .. } = self.state {
            self.tell(now);
        }
        if let State::Leaving { since } = self.state {
            let gone = !matches!(self.read(), Heard::Nothing | Heard::More);
            if gone || now.duration_since(since) > FAREWELL {
                self.state = State::Over;
            }
        } else if now.duration_since(self.since) > PATIENCE {
            self.state = State::Over;
        }
    }

    fn hear(&mut self, now: Instant, answer: impl FnOnce(&request::Read<'_>) -> Vec<u8>) {
        match self.read() {
            Heard::Nothing => {}
            Heard::Gone => self.state = State::Over,
            Heard::More => {
                let read = request::read(&self.heard);
                if read != request::Read::More {
                    let answer = answer(&read);
                    self.state = State::Telling { answer, told: 0 };
                    self.since = now;
                    // It may hold a code.
                    self.heard.fill(0);
                    self.heard.clear();
                }
            }
        }
    }

    /// Reads what is there, up to the longest head; what comes after an answer is thrown away.
    fn read(&mut self) -> Heard {
        let mut chunk = [0; 4096];
        let mut heard = Heard::Nothing;
        for _ in 0..8 {
            let room = MAX_HEAD.saturating_sub(self.heard.len()).min(chunk.len());
            if room == 0 {
                return Heard::More;
            }
            match self.stream.read(&mut chunk[..room]) {
                Ok(0) => return if matches!(heard, Heard::More) { heard } else { Heard::Gone },
                Ok(read) => {
                    if self.is_waiting() {
                        self.heard.extend_from_slice(&chunk[..read]);
                    }
                    heard = Heard::More;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Heard::Gone,
            }
        }
        heard
    }

    fn tell(&mut self, now: Instant) {
        let State::Telling { answer, told } = &mut self.state else { return };
        while *told < answer.len() {
            match self.stream.write(&answer[*told..]) {
                Ok(0) => break,
                Ok(written) => *told += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Without this, closing with unread bytes would take the answer back.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.state = State::Leaving { since: now };
    }
}

enum Heard {
    Nothing,
    More,
    Gone,
}
