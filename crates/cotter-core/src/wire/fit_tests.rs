use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::provider::Provider;
use crate::secret::{AccessToken, IdToken};

fn jwt(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
    alloc::format!("{}.{}.c2ln", part(&json!({"alg": "ES256"})), part(claims))
}

fn set(access: &Value, id: &Value) -> OAuthToken {
    let token = |value: &Value| match value {
        Value::String(opaque) => opaque.clone(),
        claims => jwt(claims),
    };
    let set = OAuthToken::new(AccessToken::new(token(access)));
    if id.is_null() { set } else { set.with_id_token(IdToken::new(token(id))) }
}

fn both(access: &Value, id: &Value, stored: Option<&str>) -> [Result<(), Unfit>; 2] {
    let set = set(access, id);
    let oauth = Provider::oauth2("https://a.example/token", "app").unwrap();
    [Provider::cotter("app").unwrap().check(&set, stored), oauth.check(&set, stored)]
}

#[test]
fn a_set_of_one_user_for_this_client_belongs_here() {
    let ada = json!({"sub": "ada", "aud": "app"});
    let prefixed = json!({"sub": "USER:ada", "aud": ["other", "app"]});
    let by_client = json!({"client_user_id": "ada", "aud": "app"});
    let nobody = json!({"aud": "app"});
    for (access, id) in [
        (&ada, &ada),
        (&ada, &Value::Null),
        (&prefixed, &ada),
        (&ada, &prefixed),
        (&by_client, &ada),
        (&nobody, &ada),
        (&ada, &nobody),
    ] {
        assert_eq!(both(access, id, None), [Ok(()), Ok(())], "{access} {id}");
        assert_eq!(both(access, id, Some("ada")), [Ok(()), Ok(())], "{access} {id}");
    }
    assert_eq!(both(&nobody, &Value::Null, Some("ada")), [Ok(()), Ok(())]);
}

#[test]
fn a_set_of_another_user_is_told_before_anything_else() {
    let bob = json!({"sub": "bob", "aud": "nobody"});
    assert_eq!(both(&bob, &Value::Null, Some("ada")), [Err(Unfit::OtherUser); 2]);
    assert_eq!(both(&json!("opaque"), &bob, Some("ada")), [Err(Unfit::OtherUser); 2]);
    // Case matters, and only one prefix is dropped.
    let twice = json!({"sub": "USER:USER:ada", "aud": "app"});
    assert_eq!(both(&twice, &Value::Null, Some("ada")), [Err(Unfit::OtherUser); 2]);
}

#[test]
fn tokens_of_two_users_do_not_make_a_set() {
    let ada = json!({"sub": "ada", "aud": "app"});
    let bob = json!({"sub": "bob", "aud": "app"});
    assert_eq!(both(&ada, &bob, None), [Err(Unfit::MixedUsers); 2]);
    assert_eq!(both(&ada, &bob, Some("ada")), [Err(Unfit::MixedUsers); 2]);
}

#[test]
fn an_oauth_token_for_a_resource_server_may_know_the_user_by_another_name() {
    let access = json!({"sub": "pairwise", "aud": "https://graph.example"});
    let id = json!({"sub": "ada", "aud": "app"});
    for stored in [None, Some("ada"), Some("pairwise")] {
        assert_eq!(both(&access, &id, stored), [Err(Unfit::MixedUsers), Ok(())], "{stored:?}");
    }
    let strangers = both(&access, &id, Some("bob"));
    assert_eq!(strangers, [Err(Unfit::MixedUsers), Err(Unfit::OtherUser)]);
}

#[test]
fn a_token_for_another_client_is_refused() {
    let other = json!({"sub": "ada", "aud": "other"});
    let silent = json!({"sub": "ada"});
    let odd = json!({"sub": "ada", "aud": [7, {"app": "app"}]});
    let ours = json!({"sub": "ada", "aud": "app"});
    for foreign in [&other, &silent, &odd] {
        assert_eq!(both(foreign, &ours, None), [Err(Unfit::OtherAudience), Ok(())], "{foreign}");
        assert_eq!(both(&ours, foreign, None), [Err(Unfit::OtherAudience); 2], "{foreign}");
    }
}

#[test]
fn an_opaque_access_token_is_fine_for_oauth_and_not_for_cotter() {
    assert_eq!(both(&json!("opaque"), &Value::Null, None), [Err(Unfit::NotAJwt), Ok(())]);
    let ours = json!({"sub": "ada", "aud": "app"});
    // Five parts: an encrypted ID token, which only its addressee can read.
    assert_eq!(both(&ours, &json!("a.b.c.d.e"), None), [Err(Unfit::NotAJwt), Ok(())]);
}

#[test]
fn an_id_token_is_never_taken_for_an_access_token() {
    let typed = |name: &str| json!({"sub": "ada", "aud": "app", "type": name});
    for name in ["client_id_token", "id_token"] {
        let swapped = both(&typed(name), &Value::Null, None);
        assert_eq!(swapped, [Err(Unfit::WrongType), Ok(())], "{name}");
        assert_eq!(both(&typed("access_token"), &typed(name), None), [Ok(()), Ok(())], "{name}");
    }
    for name in ["client_access_token", "access_token"] {
        let swapped = both(&typed("new_kind"), &typed(name), None);
        assert_eq!(swapped, [Err(Unfit::WrongType), Ok(())], "{name}");
    }
}

#[test]
fn a_set_without_an_access_token_is_not_handed_out() {
    for json in ["{}", r#"{"refresh_token":"r"}"#, r#"{"access_token":7}"#] {
        let set: OAuthToken = json.parse().unwrap();
        let cotter = Provider::cotter("app").unwrap();
        assert_eq!(cotter.check(&set, Some("ada")), Err(Unfit::NoAccessToken), "{json}");
    }
}

#[test]
fn a_reason_survives_its_number() {
    for code in 0..=u8::MAX {
        assert!(Unfit::from_code(code).is_none_or(|unfit| unfit.code() == code));
    }
    assert_eq!((0..=u8::MAX).filter_map(Unfit::from_code).count(), 7);
}
