//! How it is invoked: what it is told, what it answers, and what it does when time is up.

use std::time::Duration;

use serde_json::{Value, json};
use turnpike_quota_reset::{App, Event, Report};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::runtime::{EventFunction as _, Invocation};

use super::ground::Ground;
use crate::support::{Fault, FaultProxy, TestStack};

async fn invoke(app: &App, deadline: Timestamp) -> Report {
    let invocation = Invocation {
        request_id: "test".to_owned(),
        deadline,
    };
    app.handle(Event::default(), invocation).await.unwrap()
}

#[tokio::test]
async fn it_answers_by_hand_with_what_it_did() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let path = "/2015-03-31/functions/quota-reset/invocations";

    let all = stack.post(path).json(&json!({})).send().await;
    let none = stack.post(path).json(&json!({"shards": []})).send().await;
    let unknown = stack.post(path).json(&json!({"shards": [8]})).send().await;

    assert_eq!((all.status, &all.body["users"]), (200, &json!(2)));
    assert_eq!(all.body["shards"].as_array().unwrap().len(), 8);
    assert_eq!(all.body["shards"][0]["goes_on_behind"], Value::Null);
    assert_eq!(none.body["users"], 0);
    assert_eq!(unknown.headers["x-amz-function-error"], "Unhandled");
    assert_eq!(
        unknown.body["errorMessage"],
        "there is no shard 8: they are 0 to 7"
    );
}

#[tokio::test]
async fn when_time_is_up_the_next_run_goes_on_where_it_stopped() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    // All in one shard, on three pages.
    for number in 0..130 {
        ground.user(8 * number).await;
    }
    let proxy = FaultProxy::start(&ground.engine).await;
    let app = ground.app_at(&proxy.endpoint, None).await;
    let deadline = ground.now().plus(Duration::from_mins(15));

    // The second page is not answered before it is nearly too late.
    proxy.set(Fault::Hold(":after".to_owned()));
    let (stopped, ()) = tokio::join!(invoke(&app, deadline), async {
        proxy.held().await;
        ground.be_at("2026-11-20T00:20:00Z");
        proxy.set(Fault::None);
    });
    let no_time = invoke(&app, ground.now()).await;
    let rest = invoke(&app, ground.now().plus(Duration::from_mins(15))).await;
    let anew = invoke(&app, ground.now().plus(Duration::from_mins(15))).await;

    let users = [&stopped, &no_time, &rest, &anew].map(|report| report.users);
    assert_eq!(users, [100, 0, 30, 130]);
    let last = "usr_019aa000000070008000000000000318".parse().ok();
    let positions = [&stopped, &no_time, &rest, &anew].map(|it| it.shards[0].goes_on_behind);
    assert_eq!(positions, [last, last, None, None]);
}
