//! The two loopback addresses, on one port.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;
use std::net::{TcpListener, TcpStream};

/// How often another port is tried when one of the two addresses is taken.
const TRIES: u32 = 16;

/// Listeners on 127.0.0.1 and, where the machine has it, ::1.
#[derive(Debug)]
pub(crate) struct Ports {
    listeners: Vec<TcpListener>,
    pub(crate) port: u16,
    pub(crate) has_v6: bool,
}

impl Ports {
    /// On this port, or on one of the system's choice.
    pub(crate) fn bind(fixed: Option<u16>) -> io::Result<Self> {
        let mut tries = if fixed.is_some() { 1 } else { TRIES };
        loop {
            tries -= 1;
            match Self::bind_once(fixed.unwrap_or(0)) {
                // Somebody else has the other half: browsers that ask for localhost would go there.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                bound => return bound,
            }
        }
    }

    fn bind_once(port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = v4.local_addr()?.port();
        v4.set_nonblocking(true)?;
        let mut listeners = vec![v4];
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(v6) => {
                v6.set_nonblocking(true)?;
                listeners.push(v6);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // A machine without IPv6.
            Err(_) => {}
        }
        Ok(Self { has_v6: listeners.len() == 2, listeners, port })
    }

    /// Who has knocked, as streams that do not block.
    pub(crate) fn accept(&self) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for listener in &self.listeners {
            // Bounded, so that a flood leaves time for those who are here already.
            for _ in 0..64 {
                match listener.accept() {
                    Ok((stream, from))
                        if is_local(from) && stream.set_nonblocking(true).is_ok() =>
                    {
                        streams.push(stream);
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {}
                }
            }
        }
        streams
    }
}

fn is_local(from: SocketAddr) -> bool {
    from.ip().is_loopback()
}
