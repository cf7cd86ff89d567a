//! Access tokens that are not good: every attack that RFC 8725 names, and some more.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde_json::{Value, json};
use turnpike_shared::auth::{Algorithm as StageAlgorithm, SigningKeys};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::ids::{SessionId, UserId};

use crate::support::{TestStack, signing_keys};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn private_pem() -> String {
    let document: Value = serde_json::from_str(signing_keys()).unwrap();
    document["keys"][0]["private_key"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Signs any header and claims with the stage's own key, as nobody else could.
fn sign_raw(header: &str, claims: &str) -> String {
    let message = format!("{header}.{claims}");
    let key = EncodingKey::from_rsa_pem(private_pem().as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256).unwrap();
    format!("{message}.{signature}")
}

fn sign(header: &Value, claims: &Value) -> String {
    sign_raw(&part(header), &part(claims))
}

fn sign_hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn decoded(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn with(value: &Value, name: &str, member: Value) -> Value {
    let mut value = value.clone();
    value[name] = member;
    value
}

fn without(value: &Value, name: &str) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(name);
    value
}

#[tokio::test]
async fn a_token_is_what_rfc_9068_says() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    let (header, claims) = (
        decoded(&account.access_token, 0),
        decoded(&account.access_token, 1),
    );

    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["iss"], stack.base.as_str());
    assert_eq!(claims["aud"], format!("{}/api/v1", stack.base));
    assert_eq!(claims["sub"], account.id.as_str());
    assert_eq!(claims["sid"], account.session_id.as_str());
    assert!(claims["client_id"].is_string() && claims["jti"].is_string());
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        1800
    );
    assert_eq!(
        (&claims["tier"], &claims["roles"]),
        (&json!("free"), &json!(["user"]))
    );
    assert!(
        claims["scope"]
            .as_str()
            .unwrap()
            .split(' ')
            .any(|scope| scope == "profile:read")
    );
    assert!(claims["ep"].is_u64());
    let resigned = sign(&header, &claims);
    assert_eq!(
        stack.me_status(&resigned).await,
        200,
        "the forger of the other tests can sign"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of attacks")]
async fn every_token_that_is_not_exactly_ours_is_401() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let good = &account.access_token;
    let (header, claims) = (decoded(good, 0), decoded(good, 1));
    let parts: Vec<&str> = good.split('.').collect();
    let jwks = stack.get("/.well-known/jwks.json").send().await.body;
    let jwk = jwks["keys"][0].clone();
    let public = DecodingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap()).unwrap();
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let now = Clock::system().now().seconds();
    let kid = header["kid"].as_str().unwrap();
    let stranger =
        SigningKeys::generate(StageAlgorithm::RS256, None, Clock::system().now()).unwrap();
    let stranger: Value =
        serde_json::from_str(secrecy::ExposeSecret::expose_secret(&stranger)).unwrap();
    let stranger = stranger["keys"][0]["private_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let stranger_key = EncodingKey::from_rsa_pem(stranger.as_bytes()).unwrap();
    let stranger_jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&stranger_key, Algorithm::RS256);
    let stranger_jwk = serde_json::to_value(stranger_jwk.unwrap()).unwrap();
    let by_stranger = |header: &Value| {
        let message = format!("{}.{}", part(header), part(&claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &stranger_key, Algorithm::RS256);
        format!("{message}.{}", signature.unwrap())
    };
    let none = |alg: &str| format!("{}.{}.", part(&with(&header, "alg", json!(alg))), parts[1]);
    let hs = with(&header, "alg", json!("HS256"));
    let duplicated = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header_text = header.to_string();
    let claims_text = claims.to_string();

    let cases: Vec<(&str, String)> = vec![
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg NONE", none("NONE")),
        (
            "alg nOnE with a signature",
            format!("{}{}", none("nOnE"), parts[2]),
        ),
        ("alg empty", none("")),
        (
            "HS256 with the public key's PEM",
            sign_hs256(&hs, &claims, private_pem().as_bytes()),
        ),
        (
            "HS256 with the public key's modulus",
            sign_hs256(&hs, &claims, &n),
        ),
        (
            "HS256 with the public key's bytes",
            sign_hs256(&hs, &claims, public.try_get_as_bytes().unwrap_or(&n)),
        ),
        (
            "HS256 with the JWK",
            sign_hs256(&hs, &claims, jwk.to_string().as_bytes()),
        ),
        ("HS256 with nothing", sign_hs256(&hs, &claims, b"")),
        (
            "RS384 said, RS256 done",
            sign(&with(&header, "alg", json!("RS384")), &claims),
        ),
        (
            "PS256 said",
            sign(&with(&header, "alg", json!("PS256")), &claims),
        ),
        (
            "ES256 said",
            sign(&with(&header, "alg", json!("ES256")), &claims),
        ),
        ("another key under our kid", by_stranger(&header)),
        (
            "another key embedded as jwk",
            by_stranger(&with(&header, "jwk", stranger_jwk)),
        ),
        (
            "our key embedded as jwk",
            sign(&with(&header, "jwk", jwk.clone()), &claims),
        ),
        (
            "jku",
            sign(
                &with(&header, "jku", json!("https://evil.example/jwks.json")),
                &claims,
            ),
        ),
        (
            "x5u",
            sign(
                &with(&header, "x5u", json!("https://evil.example/cert.pem")),
                &claims,
            ),
        ),
        ("x5c", sign(&with(&header, "x5c", json!(["MIIB"])), &claims)),
        (
            "crit",
            sign(&with(&header, "crit", json!(["exp"])), &claims),
        ),
        ("b64", sign(&with(&header, "b64", json!(false)), &claims)),
        ("zip", sign(&with(&header, "zip", json!("DEF")), &claims)),
        (
            "kid as a path",
            sign(
                &with(&header, "kid", json!("../../../../dev/null")),
                &claims,
            ),
        ),
        (
            "kid as a URL",
            sign(
                &with(&header, "kid", json!("https://evil.example/key")),
                &claims,
            ),
        ),
        (
            "kid as SQL",
            sign(&with(&header, "kid", json!("' OR 1=1 --")), &claims),
        ),
        (
            "kid as a number",
            sign(&with(&header, "kid", json!(1)), &claims),
        ),
        (
            "kid with a space",
            sign(&with(&header, "kid", json!(format!("{kid} "))), &claims),
        ),
        ("no kid", sign(&without(&header, "kid"), &claims)),
        (
            "typ JWT",
            sign(&with(&header, "typ", json!("JWT")), &claims),
        ),
        ("no typ", sign(&without(&header, "typ"), &claims)),
        (
            "typ of an ID token",
            sign(&with(&header, "typ", json!("id+jwt")), &claims),
        ),
        (
            "another issuer",
            sign(
                &header,
                &with(&claims, "iss", json!("https://evil.example")),
            ),
        ),
        ("no issuer", sign(&header, &without(&claims, "iss"))),
        (
            "a list of issuers",
            sign(&header, &with(&claims, "iss", json!([stack.base]))),
        ),
        (
            "another audience",
            sign(
                &header,
                &with(&claims, "aud", json!("https://evil.example")),
            ),
        ),
        (
            "the issuer as audience",
            sign(&header, &with(&claims, "aud", json!(stack.base))),
        ),
        (
            "a list of audiences",
            sign(&header, &with(&claims, "aud", json!([claims["aud"]]))),
        ),
        ("no audience", sign(&header, &without(&claims, "aud"))),
        (
            "expired",
            sign(&header, &with(&claims, "exp", json!(now - 1))),
        ),
        (
            "expires now",
            sign(&header, &with(&claims, "exp", json!(now))),
        ),
        ("no expiry", sign(&header, &without(&claims, "exp"))),
        (
            "expiry as a text",
            sign(&header, &with(&claims, "exp", json!("9999999999"))),
        ),
        (
            "expiry as a huge number",
            sign(&header, &with(&claims, "exp", json!(1e300))),
        ),
        (
            "not yet",
            sign(&header, &with(&claims, "nbf", json!(now + 3600))),
        ),
        (
            "made in the future",
            sign(&header, &with(&claims, "iat", json!(now + 3600))),
        ),
        ("no subject", sign(&header, &without(&claims, "sub"))),
        (
            "a subject that is no id",
            sign(&header, &with(&claims, "sub", json!("admin"))),
        ),
        (
            "an unknown user",
            sign(
                &header,
                &with(
                    &claims,
                    "sub",
                    json!(UserId::new(Timestamp::from_millis(1))),
                ),
            ),
        ),
        (
            "an unknown session",
            sign(
                &header,
                &with(
                    &claims,
                    "sid",
                    json!(SessionId::new(Timestamp::from_millis(1))),
                ),
            ),
        ),
        ("no session", sign(&header, &without(&claims, "sid"))),
        (
            "alg twice",
            sign_raw(
                &duplicated(header_text.replacen('{', "{\"alg\":\"none\",", 1)),
                parts[1],
            ),
        ),
        (
            "sub twice",
            sign_raw(
                parts[0],
                &duplicated(claims_text.replacen('{', "{\"sub\":\"usr_0\",", 1)),
            ),
        ),
        (
            "exp twice",
            sign_raw(
                parts[0],
                &duplicated(claims_text.replacen('{', "{\"exp\":9999999999,", 1)),
            ),
        ),
        (
            "data behind the claims",
            sign_raw(
                parts[0],
                &URL_SAFE_NO_PAD.encode(format!("{claims_text}{{}}")),
            ),
        ),
        (
            "data behind the header",
            sign_raw(
                &URL_SAFE_NO_PAD.encode(format!("{header_text} x")),
                parts[1],
            ),
        ),
        ("claims that are a list", sign(&header, &json!([]))),
        (
            "claims that are not JSON",
            sign_raw(parts[0], &URL_SAFE_NO_PAD.encode("exp=1")),
        ),
        (
            "claims that are not UTF-8",
            sign_raw(parts[0], &URL_SAFE_NO_PAD.encode(b"{\"sub\":\"\xff\"}")),
        ),
        (
            "claims that are deep",
            sign_raw(parts[0], &URL_SAFE_NO_PAD.encode("[".repeat(2_000))),
        ),
        ("a fourth part", format!("{good}.x")),
        ("a dot behind", format!("{good}.")),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("empty parts", "..".into()),
        ("padding", format!("{good}=")),
        ("data behind the signature", format!("{good}AAAA")),
        (
            "a changed signature",
            format!(
                "{}.{}.{}",
                parts[0],
                parts[1],
                parts[2].chars().rev().collect::<String>()
            ),
        ),
        (
            "changed claims",
            format!(
                "{}.{}.{}",
                parts[0],
                part(&with(&claims, "tier", json!("enterprise"))),
                parts[2]
            ),
        ),
        (
            "standard base64",
            good.replace('-', "+").replace('_', "/") + "+/",
        ),
        ("20 KB of junk", "x".repeat(20_000)),
        ("20 KB of dots", ".".repeat(20_000)),
        (
            "20 KB of a header",
            format!(
                "{}.{}.x",
                URL_SAFE_NO_PAD.encode("{".repeat(15_000)),
                parts[1]
            ),
        ),
        ("an empty token", String::new()),
        ("a refresh token", account.refresh_token.clone()),
    ];

    for (attack, token) in cases {
        let answer = stack
            .get("/api/v1/auth/me")
            .header("authorization", &format!("Bearer {token}"))
            .send()
            .await;
        assert_eq!(answer.status, 401, "{attack}: {}", answer.text);
        answer.assert_problem(401, "unauthenticated");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{attack}"
        );
    }
    assert_eq!(stack.me_status(good).await, 200);
}

#[tokio::test]
async fn a_stage_with_es256_signs_and_verifies_with_it() {
    let stack = TestStack::start_with(|env| {
        env.with("TURNPIKE_SIGNING_ALGORITHM", "ES256")
            .with("TURNPIKE_SIGNING_KEYS", "")
    })
    .await;

    let account = stack.register("ada@example.com").await;

    let jwk = &stack.get("/.well-known/jwks.json").send().await.body["keys"][0];
    assert_eq!(decoded(&account.access_token, 0)["alg"], "ES256");
    assert_eq!(
        (&jwk["kty"], &jwk["crv"], &jwk["alg"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"))
    );
    assert_eq!(stack.me_status(&account.access_token).await, 200);
}

#[tokio::test]
async fn a_stranger_verifies_a_token_with_the_published_key_alone() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let configuration = stack
        .get("/.well-known/openid-configuration")
        .send()
        .await
        .body;
    let path = configuration["jwks_uri"]
        .as_str()
        .unwrap()
        .strip_prefix(&stack.base)
        .unwrap()
        .to_owned();
    let set: jsonwebtoken::jwk::JwkSet =
        serde_json::from_value(stack.get(&path).send().await.body).unwrap();

    let Header { kid, .. } = jsonwebtoken::decode_header(&account.access_token).unwrap();
    let key = DecodingKey::from_jwk(set.find(&kid.unwrap()).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(Algorithm::RS256);
    validation.set_issuer(&[configuration["issuer"].as_str().unwrap()]);
    validation.set_audience(&[format!("{}/api/v1", stack.base)]);
    let claims = jsonwebtoken::decode::<Value>(&account.access_token, &key, &validation)
        .unwrap()
        .claims;

    assert_eq!(claims["sub"], account.id.as_str());
}
