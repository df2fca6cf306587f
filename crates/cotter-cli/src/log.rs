//! What `-v` and `COTTER_LOG` show; to standard error, and never a secret.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::failure::Failure;
use crate::output;
use crate::progress;
use crate::settings::Log;

pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter = match log {
        Log::Nothing => return Ok(()),
        Log::Level(level) => Targets::new().with_default(match level {
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }),
        Log::Filter(filter) => filter.parse().map_err(|_| {
            Failure::usage("COTTER_LOG is no filter")
                .with_hint("write a level, or target=level pairs: cotter=debug,warn")
        })?,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(progress::clean_line)
        .with_ansi(output::colours());
    // Nobody else sets one; a second start would change nothing.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}
