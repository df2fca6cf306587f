use alloc::format;
use alloc::string::ToString;
use core::error::Error as _;

use proptest::prelude::*;

use super::*;

fn parse(json: &str) -> OAuthToken {
    json.parse().unwrap()
}

#[test]
fn a_whole_set_is_read_bare_or_out_of_a_login_answer() {
    let bare = r#"{"access_token":"a","auth_method":"OTP","expires_in":3600,"id_token":"i",
        "refresh_token":"4711:r","token_type":"bearer","scope":"access"}"#;
    let login = format!(r#"{{"user":{{"ID":"u"}},"oauth_token":{bare}}}"#);
    let marked = format!("\u{feff}{bare}");
    for json in [bare, &login, &marked] {
        let parts = parse(json).into_parts();
        assert_eq!(parts.access_token, Some(AccessToken::new("a")));
        assert_eq!(parts.id_token, Some(IdToken::new("i")));
        assert_eq!(parts.refresh_token, Some(RefreshToken::new("4711:r")));
        assert_eq!(parts.expires_in, Some(Duration::from_secs(3600)));
        assert_eq!(parts.token_type, "bearer");
        assert_eq!(parts.auth_method.as_deref(), Some("OTP"));
        assert_eq!(parts.scope.as_deref(), Some("access"));
    }
}

#[test]
fn an_odd_member_costs_only_itself() {
    for odd in [
        r#""id_token":7"#,
        r#""id_token":1e999999"#,
        r#""id_token":"\ud800""#,
        r#""expires_in":1e999999"#,
        r#""expires_in":[[[{"a":1e999999}]]]"#,
        r#""token_type":null"#,
        r#""scope":["a"],"auth_method":{}"#,
        r#""oauth_token":null"#,
        r#""oauth_token":{"access_token":"other"}"#,
        r#""new":"\ud800","newer":-1e999999,"":0"#,
    ] {
        let set = parse(&format!(r#"{{"access_token":"a",{odd},"refresh_token":"r"}}"#));
        assert_eq!(set.access_token(), Some(&AccessToken::new("a")), "{odd}");
        assert_eq!(set.refresh_token(), Some(&RefreshToken::new("r")), "{odd}");
        assert_eq!(set.id_token(), None, "{odd}");
        assert_eq!(set.token_type(), "Bearer", "{odd}");
        assert_eq!((set.scope(), set.auth_method()), (None, None), "{odd}");
    }
}

#[test]
fn a_deeply_nested_unknown_member_costs_nothing() {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    let set = parse(&format!(r#"{{"refresh_token":"r","new":{deep},"id_token":{deep}}}"#));
    assert!(set.refresh_token().is_some());
}

#[test]
fn what_is_absent_null_empty_or_of_another_type_is_absent() {
    for value in ["null", r#""""#, "7", "true", "[]", "{}", r#"["r"]"#] {
        let set = parse(&format!(
            r#"{{"access_token":{value},"id_token":{value},"refresh_token":{value}}}"#
        ));
        assert!(set.access_token().is_none(), "{value}");
        assert!(set.id_token().is_none(), "{value}");
        assert!(set.refresh_token().is_none(), "{value}");
    }
    let set = OAuthToken::new(AccessToken::new(""))
        .with_id_token(IdToken::new(""))
        .with_refresh_token(RefreshToken::new(""))
        .with_token_type("")
        .with_auth_method("")
        .with_scope("");
    assert!(set.access_token().is_none() && set.id_token().is_none());
    assert!(set.refresh_token().is_none());
    assert_eq!((set.token_type(), set.auth_method(), set.scope()), ("Bearer", None, None));
}

#[test]
fn expires_in_is_a_number_or_its_text_and_never_absurd() {
    for (value, expected) in [
        ("3600", Some(3600.0)),
        ("3600.5", Some(3600.5)),
        ("3.6e3", Some(3600.0)),
        (r#""3600""#, Some(3600.0)),
        (r#"" 3600 ""#, Some(3600.0)),
        (r#""3600.0""#, Some(3600.0)),
        ("0", Some(0.0)),
        ("-0.0", Some(0.0)),
        ("99999999999999999999", Some(LONGEST.as_secs_f64())),
        ("1e999999", Some(LONGEST.as_secs_f64())),
        ("-1", None),
        (r#""-1""#, None),
        ("-1e999999", None),
        (r#""""#, None),
        (r#""soon""#, None),
        (r#""inf""#, None),
        (r#""NaN""#, None),
        (r#""infinity""#, None),
        ("null", None),
        ("true", None),
        ("[3600]", None),
    ] {
        let set = parse(&format!(r#"{{"access_token":"a","expires_in":{value}}}"#));
        assert_eq!(set.expires_in().map(|life| life.as_secs_f64()), expected, "{value}");
    }
    let forever = OAuthToken::new(AccessToken::new("a")).with_expires_in(Duration::MAX);
    assert_eq!(forever.expires_in(), Some(LONGEST));
}

#[test]
fn what_is_no_object_is_an_error_that_repeats_nothing() {
    for bad in [
        "",
        "PLANTED",
        "null",
        "[]",
        "\"PLANTED\"",
        r#"{"access_token":"PLANTED"#,
        r#"{"access_token":"PLANTED"} PLANTED"#,
        r#"{"access_token":PLANTED}"#,
        r#"{"PLANTED":1,,}"#,
        r#"{7:"PLANTED"}"#,
    ] {
        let error = OAuthToken::parse(bad.as_bytes()).unwrap_err();
        let source = error.source().unwrap().to_string();
        assert_eq!(error.kind(), crate::ErrorKind::Protocol, "{bad}");
        assert!(source.contains("line 1, column"), "{source}");
        let all = format!("{error} {error:?} {error:#?} {source}");
        assert!(!all.contains("PLANTED"), "{all}");
    }
    assert!(OAuthToken::parse(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn a_set_prints_no_token_wherever_it_stands() {
    let set = parse(
        r#"{"access_token":"PLANTED","id_token":"PLANTED","refresh_token":"PLANTED",
            "token_type":"PLANTED","scope":"PLANTED","auth_method":"PLANTED","expires_in":"PLANTED"}"#,
    );
    let printed = format!("{set:?} {set:#?} {:?}", set.duplicate().into_parts());
    assert!(!printed.contains("PLANTED"), "{printed}");
    assert!(printed.contains("[redacted]"), "{printed}");
}

#[test]
fn a_duplicate_has_everything() {
    let set = parse(
        r#"{"access_token":"a","id_token":"i","refresh_token":"r","token_type":"t","scope":"s",
            "auth_method":"m","expires_in":1}"#,
    );
    let (one, two) = (set.duplicate().into_parts(), set.into_parts());
    assert_eq!(one.access_token, two.access_token);
    assert_eq!(one.id_token, two.id_token);
    assert_eq!(one.refresh_token, two.refresh_token);
    assert_eq!(one.expires_in, two.expires_in);
    assert_eq!(one.token_type, two.token_type);
    assert_eq!(one.scope, two.scope);
    assert_eq!(one.auth_method, two.auth_method);
}

#[test]
fn of_two_members_with_one_name_the_last_counts() {
    let set = parse(r#"{"refresh_token":"old","refresh_token":"new"}"#);
    assert_eq!(set.refresh_token(), Some(&RefreshToken::new("new")));
    let escaped = parse(r#"{"refresh\u005ftoken":"a\u002fb\n"}"#);
    assert_eq!(escaped.refresh_token(), Some(&RefreshToken::new("a/b\n")));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = OAuthToken::parse(&bytes);
    }

    #[test]
    fn no_value_of_a_member_costs_the_refresh_token(
        name in "expires_in|id_token|access_token|token_type|scope|oauth_token|x",
        value in "null|true|-?[1-9][0-9]{0,30}(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,9})?|\"[ -!#-\\[\\]-~]{0,20}\"|\\[\\{\\}\\]",
    ) {
        let set = parse(&format!(r#"{{"refresh_token":"r","{name}":{value}}}"#));
        prop_assert!(set.refresh_token().is_some());
        prop_assert!(set.expires_in().is_none_or(|life| life <= LONGEST));
    }
}
