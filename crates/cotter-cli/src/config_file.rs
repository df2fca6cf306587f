//! The configuration file: the options' long names, with `_` for `-`.

use std::io::ErrorKind;
use std::path::Path;

use toml::{Table, Value};

use crate::failure::Failure;
use crate::text;

const KEYS: [&str; 13] = [
    "api_key_id",
    "base_url",
    "format",
    "identity_key",
    "issuer",
    "lock_timeout",
    "login_url",
    "rotation",
    "session",
    "store",
    "store_path",
    "timeout",
    "worker_url",
];

#[derive(Debug, Default)]
pub(crate) struct ConfigFile(Table);

impl ConfigFile {
    /// The file, or an empty one where there is none.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Failure::usage(format!(
                    "{} cannot be read: {error}",
                    text::printable_path(&path.display().to_string())
                ))
                .with_hint("make it readable, or remove it"));
            }
        };
        Self::parse(&text).map_err(|(what, hint)| {
            Failure::usage(format!("{}: {what}", text::printable_path(&path.display().to_string())))
                .with_hint(hint)
        })
    }

    fn parse(text: &str) -> Result<Self, (String, String)> {
        // The parser's own message would repeat the line, whatever stands in it.
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| {
                1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
            });
            (format!("line {line} is not TOML"), "write lines like: session = \"work\"".to_owned())
        })?;
        for (key, value) in &table {
            if key == "store_key" || key == "store_key_old" {
                return Err((
                    "the sealing key must not stand in the configuration file".to_owned(),
                    "remove it, and set COTTER_STORE_KEY instead".to_owned(),
                ));
            }
            if !KEYS.contains(&key.as_str()) {
                return Err((
                    format!("unknown key {:?}", text::printable(key)),
                    format!("known are {}", KEYS.join(", ")),
                ));
            }
            if !matches!(value, Value::String(_) | Value::Integer(0..)) {
                return Err((format!("{key} must be a text"), format!("write {key} = \"...\"")));
            }
        }
        Ok(Self(table))
    }

    /// The value under `key`; an empty one counts as unset.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_by_the_options_names() {
        let file = ConfigFile::parse("session = \"work\"\ntimeout = 3\nbase_url = \"\"\n").unwrap();
        assert_eq!(file.text("session").as_deref(), Some("work"));
        assert_eq!(file.text("timeout").as_deref(), Some("3"));
        assert_eq!(file.text("base_url"), None);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named_without_repeating_it() {
        let wrong = |text| ConfigFile::parse(text).unwrap_err();
        assert_eq!(wrong("sesion = \"x\"").0, "unknown key \"sesion\"");
        assert!(wrong("\nsession = PLANTED").0.contains("line 2"));
        assert!(!format!("{:?}", wrong("session = PLANTED")).contains("PLANTED"));
        assert!(wrong("store_key = \"PLANTED\"").1.contains("COTTER_STORE_KEY"));
        assert!(!format!("{:?}", wrong("store_key = \"PLANTED\"")).contains("PLANTED"));
        assert!(wrong("session = [1]").0.contains("must be a text"));
        assert!(wrong("[session]\nx = 1").0.contains("must be a text"));
    }
}
