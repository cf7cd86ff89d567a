//! `PUT /api/v1/content/{location_id}`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{path, put, put_well, show, wish, wish_with};
use crate::content::soundness;
use crate::support::TestStack;

#[tokio::test]
async fn content_is_created_and_then_replaced() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let other = wish_with("quality_score", json!(1));

    let created = put(&stack, &admin, "trail:42", &wish()).await;
    stack.pass(Duration::from_secs(5));
    let replaced = put(&stack, &admin, "trail:42", &other).await;

    assert_eq!(created.status, 201, "{}", created.text);
    let content = &created.body["content"];
    for (name, value) in wish().as_object().unwrap() {
        assert_eq!(&content[name], value, "{name}");
    }
    assert_eq!(content["location_id"], "trail:42");
    assert_eq!(content["content_hash"].as_str().unwrap().len(), 64);
    assert_eq!(content["created_at"], content["updated_at"]);
    assert_eq!(
        (&content["ttl_seconds"], &content["expires_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    let now = &replaced.body["content"];
    assert_eq!(now["quality_score"], 1.0);
    assert_eq!(now["created_at"], content["created_at"]);
    assert_ne!(now["updated_at"], content["updated_at"]);
    assert_ne!(now["content_hash"], content["content_hash"]);
    assert_ne!(created.header("etag"), replaced.header("etag"));
    assert_eq!(show(&stack, &admin, "trail:42").await.body, replaced.body);
}

#[tokio::test]
async fn the_same_content_put_again_is_the_same_and_has_the_same_tag() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let created = put(&stack, &admin, "a", &wish()).await;
    let reordered = r#"{"metadata": {"pages": [1, 2.5, null], "title": "On whales"},
        "quality_score": 0.87, "source_apis": ["library", "press"], "content_type": "article"}"#;

    stack.pass(Duration::from_secs(5));
    let again = stack.put(&path("a")).bearer(&admin.access_token);
    let again = again.raw_json(reordered).send().await;

    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(again.header("etag"), created.header("etag"));
    let (now, before) = (&again.body["content"], &created.body["content"]);
    for name in ["content_hash", "created_at", "updated_at"] {
        assert_eq!(now[name], before[name], "{name}");
    }
}

#[tokio::test]
async fn equal_content_is_stored_once_until_nothing_refers_to_it() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let client = stack.dynamodb().await;
    let mut hashes = vec![];

    for location in ["a", "b", "c"] {
        let answer = put(&stack, &admin, location, &wish()).await;
        hashes.push(answer.body["content"]["content_hash"].clone());
    }
    let shared = soundness::check(&client, stack.now()).await;
    put_well(&stack, &admin, "a", &wish_with("quality_score", json!(1))).await;
    let parted = soundness::check(&client, stack.now()).await;
    for location in ["b", "c"] {
        assert_eq!(super::delete(&stack, &admin, location).await.status, 204);
    }
    let left = soundness::check(&client, stack.now()).await;

    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    assert_eq!((shared.locations, shared.contents), (3, 1));
    assert_eq!((parted.locations, parted.contents), (3, 2));
    assert_eq!((left.locations, left.contents), (1, 1));
}

#[tokio::test]
async fn who_is_no_admin_puts_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let answer = put(&stack, &ada, "a", &wish()).await;

    answer.assert_problem(403, "missing-scope");
    show(&stack, &ada, "a")
        .await
        .assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_location_that_cannot_be_is_not_there() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;

    for location in ["a%20b", "a%2Fb", "%C3%BC", &"x".repeat(257)] {
        let answer = put(&stack, &admin, location, &wish()).await;
        answer.assert_problem(404, "not-found");
    }
    let longest = "x".repeat(256);
    assert_eq!(put(&stack, &admin, &longest, &wish()).await.status, 201);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_what_is_there_stays() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    put_well(&stack, &admin, "a", &wish()).await;
    let many: Vec<Value> = (0..51).map(|number| json!(number.to_string())).collect();
    let cases = [
        ("content_type", json!(""), "content_type", "too-short"),
        (
            "content_type",
            json!("x".repeat(101)),
            "content_type",
            "too-long",
        ),
        ("content_type", json!(7), "content_type", "wrong-type"),
        (
            "source_apis",
            json!(["a", ""]),
            "source_apis[1]",
            "too-short",
        ),
        (
            "source_apis",
            json!(["x".repeat(201)]),
            "source_apis[0]",
            "too-long",
        ),
        ("source_apis", json!("library"), "source_apis", "wrong-type"),
        ("source_apis", many.into(), "source_apis", "too-long"),
        (
            "quality_score",
            json!(-0.5),
            "quality_score",
            "out-of-range",
        ),
        (
            "quality_score",
            json!(100.5),
            "quality_score",
            "out-of-range",
        ),
        (
            "quality_score",
            json!("good"),
            "quality_score",
            "wrong-type",
        ),
        ("metadata", json!([]), "metadata", "wrong-type"),
        ("ttl_seconds", json!(0), "ttl_seconds", "out-of-range"),
        (
            "ttl_seconds",
            json!(315_360_001),
            "ttl_seconds",
            "out-of-range",
        ),
        ("ttl_seconds", json!(1.5), "ttl_seconds", "wrong-type"),
        ("content_hash", json!("x"), "content_hash", "unknown"),
    ];

    for (field, value, named, code) in cases {
        let answer = put(&stack, &admin, "a", &wish_with(field, value)).await;
        answer.assert_invalid(&[(named, code)]);
    }
    for field in ["content_type", "source_apis", "quality_score", "metadata"] {
        let mut without = wish();
        without.as_object_mut().unwrap().remove(field);
        let answer = put(&stack, &admin, "a", &without).await;
        answer.assert_invalid(&[(field, "required")]);
    }
    let several =
        json!({"content_type": "", "source_apis": [""], "quality_score": 101, "metadata": {}});
    let answer = put(&stack, &admin, "a", &several).await;
    answer.assert_invalid(&[
        ("content_type", "too-short"),
        ("source_apis[0]", "too-short"),
        ("quality_score", "out-of-range"),
    ]);

    let there = show(&stack, &admin, "a").await;
    assert_eq!(there.body["content"]["metadata"], wish()["metadata"]);
}

#[tokio::test]
async fn content_is_as_large_as_a_body_and_no_larger() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let of_bytes = |bytes: usize| {
        let empty = wish_with("metadata", json!({"text": ""})).to_string();
        wish_with("metadata", json!({"text": "x".repeat(bytes - empty.len())}))
    };
    let largest = of_bytes(64 * 1024);

    let taken = put(&stack, &admin, "a", &largest).await;
    let refused = put(&stack, &admin, "a", &of_bytes(64 * 1024 + 1)).await;

    assert_eq!(taken.status, 201, "{}", taken.text);
    refused.assert_problem(413, "payload-too-large");
    let there = show(&stack, &admin, "a").await;
    assert_eq!(there.body["content"]["metadata"], largest["metadata"]);
}

#[tokio::test]
async fn reading_and_putting_have_limits_of_their_own() {
    let policy = crate::support::root().join("shared/policy.toml");
    let stack = TestStack::start_as(|options| turnpike_local::Options {
        policy: Some(policy),
        ..options
    })
    .await;
    let admin = stack.admin().await;

    let written = put(&stack, &admin, "a", &wish()).await;
    let read = show(&stack, &admin, "a").await;

    let limits = written.header("ratelimit-policy");
    assert!(limits.contains("\"upload\";q=50;w=3600"), "{limits}");
    let limits = read.header("ratelimit-policy");
    assert!(limits.contains("\"dataset_ops\";q=200;w=3600"), "{limits}");
}
