//! `cotter import`: stores what a login returned.

use core::fmt;
use std::path::Path;
use std::process::ExitCode;

use cotter::OAuthToken;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{input, status};
use crate::failure::{Code, Failure};
use crate::output;
use crate::settings::Settings;
use crate::world::World;

const WANTED: &str = "give the login response, or the oauth_token object in it, as JSON";

pub(super) fn run(settings: &Settings, file: Option<&Path>) -> Result<ExitCode, Failure> {
    // What is wrong with the set-up is said before anybody pastes a secret.
    settings.provider()?;
    let json = input::read(settings, file, "the login response")?;
    if json.trim_ascii().is_empty() {
        return Err(Failure::new(Code::Protocol, "there is nothing in it").with_hint(WANTED));
    }
    let tokens =
        OAuthToken::parse(&json).map_err(|error| Failure::from(error).with_hint(WANTED))?;
    whole(&json, &tokens)?;
    // Nothing is made on disk for a set that will be refused anyway.
    check(settings, &tokens)?;
    let world = World::create(settings)?;
    let session = world.session()?;
    session.sign_in(tokens).map_err(refused)?;
    let report = status::Report::new(settings, &session.status()?, world.place)?;
    output::answer(settings, &report, || report.signed_in_text())
}

/// Refuses a set of which a part would get lost: a token that stands there as something else than text.
///
/// A server's answer is read with more patience, since its refresh token is all that is left.
fn whole(json: &[u8], tokens: &OAuthToken) -> Result<(), Failure> {
    let Ok(outer) = serde_json::from_slice::<Login>(json) else { return Ok(()) };
    let bare = [outer.access_token, outer.refresh_token].contains(&Shape::Text);
    let set = outer.oauth_token.as_deref().filter(|_| !bare).unwrap_or(&outer);
    for (name, found, taken) in [
        ("id_token", set.id_token, tokens.id_token().is_some()),
        ("refresh_token", set.refresh_token, tokens.refresh_token().is_some()),
    ] {
        if found == Shape::Odd && !taken {
            let what = format!("the {name} of this login response is no text");
            return Err(Failure::new(Code::Protocol, what).with_hint(WANTED));
        }
    }
    Ok(())
}

/// Of what kind the members are; the tokens themselves are passed over and nowhere kept.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Login {
    access_token: Shape,
    id_token: Shape,
    refresh_token: Shape,
    oauth_token: Option<Box<Self>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Shape {
    /// Not there, `null` or empty.
    #[default]
    Absent,
    Text,
    Odd,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;

        impl<'de> Visitor<'de> for Look {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
                Ok(if text.is_empty() { Shape::Absent } else { Shape::Text })
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Absent)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Odd)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Odd)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::Odd)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Odd)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Shape::Odd)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Shape::Odd)
            }
        }

        deserializer.deserialize_any(Look)
    }
}

fn check(settings: &Settings, tokens: &OAuthToken) -> Result<(), Failure> {
    let scratch = cotter::blocking::Session::builder(settings.provider()?)
        .store(cotter::store::Memory::new())
        .transport(crate::world::Nowhere)
        .build()?;
    scratch.sign_in(tokens.duplicate()).map_err(refused)
}

fn refused(error: cotter::Error) -> Failure {
    let config = error.kind() == cotter::ErrorKind::Config;
    let failure = Failure::from(error);
    if config {
        failure.with_hint("nothing was changed; import a newer login response of this API key id")
    } else {
        failure
    }
}
