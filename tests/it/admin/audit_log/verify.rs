//! `GET /api/v1/admin/audit-log/verify`

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use turnpike_local::{Engine, Options};

use super::PATH;
use crate::audit::{OwnLog, SECRET};
use crate::support::{Account, Answer, Fault, FaultProxy, TestStack};

async fn verify(stack: &TestStack, admin: &Account, query: &str) -> Answer {
    let call = stack.get(&format!("{PATH}/verify?{query}"));
    call.bearer(&admin.access_token).send().await
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_valid() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    stack.stack.settle().await.unwrap();

    let answer = verify(&stack, &admin, "").await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.body,
        json!({"valid": true, "entries": 2, "first_broken": null})
    );
}

#[tokio::test]
async fn the_first_broken_entry_is_named() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    stack.register("ada@example.com").await;
    stack.stack.settle().await.unwrap();
    let listed = stack.get(PATH).bearer(&admin.access_token).send().await;
    let second = listed.body["items"][1]["id"].clone();

    let alter = stack
        .dynamodb()
        .await
        .update_item()
        .table_name("AuditTable");
    let alter = alter
        .key("pk", crate::audit::text("LOG#0"))
        .key("sk", crate::audit::text("00000000000000000002"))
        .update_expression("SET previous_hash = #hash")
        .expression_attribute_names("#hash", "hash");
    alter.send().await.unwrap();
    let answer = verify(&stack, &admin, "").await;

    assert_eq!(
        answer.body,
        json!({"valid": false, "entries": 1, "first_broken": second})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_does_not_come_to_the_end_says_where_to_go_on() {
    let (own, _) = OwnLog::written(1_500).await;
    let proxy = FaultProxy::start(&own.engine).await;
    let stack = TestStack::start_as(|options| Options {
        engine: Engine::At(proxy.endpoint.clone()),
        env: options.env.with("TURNPIKE_AUDIT_SECRET", SECRET),
        ..options
    })
    .await;
    let user = stack.register("ada@example.com").await;
    let roles = AttributeValue::L(vec![crate::audit::text("admin")]);
    let endpoint = own.engine.endpoint();
    let promoted = stack.set_user_attribute_at(&endpoint, &user.id, "roles", roles);
    promoted.await;
    let admin = stack.login("ada@example.com").await;

    proxy.set(Fault::Hold("LOG#1".to_owned()));
    let unfinished = verify(&stack, &admin, "").await;
    proxy.set(Fault::None);
    let rest = verify(&stack, &admin, "from=1001").await;
    let end = verify(&stack, &admin, "from=1501").await;
    let beyond = verify(&stack, &admin, "from=1502").await;
    let zero = verify(&stack, &admin, "from=0").await;

    unfinished.assert_problem(503, "verification-unfinished");
    let detail = unfinished.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("entries 1 to 1000") && detail.contains("from=1001"),
        "{detail}"
    );
    let whole = json!({"valid": true, "entries": 1500, "first_broken": Value::Null});
    assert_eq!((&rest.body, &end.body), (&whole, &whole));
    beyond.assert_problem(422, "validation-failed");
    zero.assert_problem(422, "validation-failed");
}
