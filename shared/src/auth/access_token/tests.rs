//! That a token is good from its making to its end, for its own issuer alone. The attacks of RFC
//! 8725 are tried over HTTP, in `tests/it/auth/access_tokens.rs`.

use super::*;
use crate::auth::signing_keys::Algorithm;

const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

fn user() -> User {
    User {
        id: UserId::new(T),
        email: "ada@example.com".parse().unwrap(),
        full_name: None,
        tier: Tier::free(),
        roles: vec![Role::User],
        is_active: true,
        is_verified: true,
        created_at: T,
        updated_at: T,
        quota_override: None,
        keys_revoked: None,
        epoch: 4,
    }
}

fn keys(algorithm: Algorithm) -> SigningKeys {
    SigningKeys::parse(
        &SigningKeys::generate(algorithm, None, T).unwrap(),
        algorithm,
    )
    .unwrap()
}

#[test]
fn a_token_states_its_user_and_session_and_is_good_for_thirty_minutes() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let keys = keys(algorithm);
        let profile = TokenProfile::new("https://api.example.com");
        let (user, session) = (user(), SessionId::new(T));
        let token = profile.issue(&keys, &user, session, T).unwrap();

        let claims = profile.verify(keys.public(), &token, T).unwrap();

        assert_eq!((claims.sub, claims.sid, claims.ep), (user.id, session, 4));
        assert_eq!(claims.aud, "https://api.example.com/api/v1");
        assert_eq!(claims.exp - claims.iat, 1800);
        let last_second = T.plus(Duration::from_secs(1799));
        assert!(profile.verify(keys.public(), &token, last_second).is_ok());
        let end = T.plus(Duration::from_mins(30));
        assert!(matches!(
            profile.verify(keys.public(), &token, end),
            Err(TokenRejected::Untimely)
        ));
    }
}

#[test]
fn a_token_of_another_stage_or_of_other_keys_is_not_taken() {
    let keys = keys(Algorithm::ES256);
    let here = TokenProfile::new("https://api.example.com");
    let there = TokenProfile::new("https://staging.example.com");
    let token = there.issue(&keys, &user(), SessionId::new(T), T).unwrap();
    let own = here.issue(&keys, &user(), SessionId::new(T), T).unwrap();

    assert!(matches!(
        here.verify(keys.public(), &token, T),
        Err(TokenRejected::Invalid(_))
    ));
    let others = self::keys(Algorithm::ES256);
    assert!(matches!(
        here.verify(others.public(), &own, T),
        Err(TokenRejected::UnknownKey)
    ));
}

#[test]
fn a_token_from_a_clock_that_is_far_ahead_is_not_taken_yet() {
    let keys = keys(Algorithm::ES256);
    let profile = TokenProfile::new("https://api.example.com");
    let token = |ahead| {
        let made = T.plus(Duration::from_secs(ahead));
        profile
            .issue(&keys, &user(), SessionId::new(T), made)
            .unwrap()
    };

    assert!(profile.verify(keys.public(), &token(30), T).is_ok());
    assert!(matches!(
        profile.verify(keys.public(), &token(32), T),
        Err(TokenRejected::Untimely)
    ));
}

#[test]
fn a_token_states_its_users_scopes_as_one_space_separated_string() {
    let keys = keys(Algorithm::ES256);
    let profile = TokenProfile::new("https://api.example.com");
    let support = User {
        roles: vec![Role::Support],
        ..user()
    };
    let token = profile
        .issue(&keys, &support, SessionId::new(T), T)
        .unwrap();

    let payload = token.expose_secret().split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    let stated: serde_json::Value = serde_json::from_slice(&payload).unwrap();

    assert_eq!(stated["scope"], "admin:read");
    let read = profile.verify(keys.public(), &token, T).unwrap();
    assert_eq!(read.scope, ScopeSet::of_roles(&[Role::Support]));
}

#[test]
fn an_altered_token_is_never_taken_for_the_one_that_was_verified() {
    let keys = keys(Algorithm::ES256);
    let profile = TokenProfile::new("https://api.example.com");
    let token = profile.issue(&keys, &user(), SessionId::new(T), T).unwrap();
    profile.verify(keys.public(), &token, T).unwrap();
    let token = token.expose_secret();

    let altered = (0..token.len()).flat_map(|at| {
        let with = |replaced: char| {
            let mut bytes = token.as_bytes().to_vec();
            bytes[at] = u8::try_from(replaced).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        ['A', 'B', '.'].map(with)
    });
    let cut = (0..token.len()).map(|at| token[..at].to_owned());
    let grown = ['A', '=', '.', ' '].map(|more| format!("{token}{more}"));

    for other in altered.chain(cut).chain(grown) {
        if other != token {
            let verified = profile.verify(keys.public(), &other.clone().into(), T);
            assert!(verified.is_err(), "{other}");
        }
    }
    assert!(profile.verify(keys.public(), &token.into(), T).is_ok());
}

#[test]
fn a_token_that_was_verified_is_still_bound_to_its_time_its_issuer_and_its_keys() {
    let keys = keys(Algorithm::ES256);
    let here = TokenProfile::new("https://api.example.com");
    let there = TokenProfile::new("https://staging.example.com");
    let token = here.issue(&keys, &user(), SessionId::new(T), T).unwrap();
    let first = here.verify(keys.public(), &token, T).unwrap();

    assert_eq!(here.verify(keys.public(), &token, T).unwrap(), first);
    let end = T.plus(ACCESS_TOKEN_LIFETIME);
    let before = T.minus(Duration::from_secs(32));
    for untimely in [end, before] {
        assert!(matches!(
            here.verify(keys.public(), &token, untimely),
            Err(TokenRejected::Untimely)
        ));
    }
    assert!(matches!(
        there.verify(keys.public(), &token, T),
        Err(TokenRejected::Invalid(_))
    ));
    let next = self::keys(Algorithm::ES256);
    assert!(matches!(
        here.verify(next.public(), &token, T),
        Err(TokenRejected::UnknownKey)
    ));
}
