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
