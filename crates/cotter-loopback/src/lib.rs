//! Takes a person to a login page in a browser, and catches the way back on a loopback port
//! (RFC 8252 section 7.3).
//!
//! ```
//! use core::time::Duration;
//! use cotter_loopback::{Loopback, Notice};
//!
//! let agent = Loopback::builder()
//!     .deadline(Duration::from_secs(120))
//!     .tell(|notice| match notice {
//!         Notice::Link(link) => eprintln!("Sign in here: {link}"),
//!         other => eprintln!("{other}"),
//!     })
//!     .bind()?;
//! // session.sign_in_with(page, &agent)
//! # Ok::<(), cotter_core::Error>(())
//! ```
//!
//! Whatever else knocks at the port (a favicon, a port scan, a stray tab, a login that is not this
//! one) is answered and changes nothing. Without a browser on this machine, open the link on
//! another one and give the address that it ends at to [`Loopback::paste`].

mod agent;
mod connection;
mod desk;
mod loopback;
mod page;
mod ports;
mod request;

pub use loopback::{Builder, Canceller, Loopback, Notice};
