//! `cotter decode`: what a token says, without checking whether it is true.

use std::process::ExitCode;

use cotter::AccessToken;
use serde::Serialize;
use zeroize::Zeroizing;

use super::input;
use crate::failure::{Code, Failure};
use crate::output;
use crate::settings::Settings;

#[derive(Debug, Serialize)]
struct Answer {
    verified: bool,
    claims: serde_json::Value,
}

pub(super) fn run(settings: &Settings, token: Option<String>) -> Result<ExitCode, Failure> {
    let given = token.map(Zeroizing::new).filter(|token| token.as_str() != "-");
    let argument = given.is_some();
    let token = match given {
        Some(token) => token,
        None => {
            let bytes = input::read(settings, None, "the token")?;
            let text = core::str::from_utf8(&bytes).map_err(|_| {
                Failure::new(Code::InvalidToken, "this is no token: it is not text")
            })?;
            Zeroizing::new(text.trim().to_owned())
        }
    };
    let claims = AccessToken::new(token.as_str()).claims().map_err(|error| Failure {
        message: Failure::from(error).message,
        ..Failure::new(Code::InvalidToken, "")
    })?;
    if argument {
        input::warn_of_accepted_argument(settings);
    }
    let answer = Answer { verified: false, claims: claims.to_json() };
    output::answer(settings, &answer, || {
        let claims = serde_json::to_string_pretty(&answer.claims).unwrap_or_default();
        format!("NOT VERIFIED: anybody can write such a token\n{claims}\n")
    })
}
