//! `GET /api/v1/admin/users/{id}`

use serde_json::json;

use crate::admin::{USERS, patch, path_of};
use crate::support::TestStack;

#[tokio::test]
async fn admins_and_support_see_a_user_and_nobody_else_does() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("Ada@example.com").await;
    let helper = stack.register("helper@example.com").await;
    patch(&stack, &admin, &helper, json!({"roles": ["support"]})).await;

    for reader in [&admin, &helper] {
        let shown = stack.get(&path_of(&ada)).bearer(&reader.access_token);
        let shown = shown.send().await;

        assert_eq!(shown.status, 200, "{}", shown.text);
        assert_eq!(shown.body["user"]["email"], "Ada@example.com");
        assert_eq!(shown.body["user"]["id"], ada.id);
    }
    let change = patch(&stack, &helper, &ada, json!({"tier": "enterprise"})).await;
    change.assert_problem(403, "missing-scope");
    let own = stack.get(&path_of(&ada)).bearer(&ada.access_token);
    own.send().await.assert_problem(403, "missing-scope");
}

#[tokio::test]
async fn who_does_not_exist_and_what_is_no_id_are_not_found() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let unknown = "usr_019a9f3c1c2a7d3e8f00112233445566";

    for id in [unknown, "usr_1", "ada@example.com"] {
        let path = format!("{USERS}/{id}");
        let token = &admin.access_token;
        let lifted = json!({"limits": {"hour": 1}, "reason": "test"});
        let answers = [
            stack.get(&path).bearer(token).send().await,
            stack
                .patch(&path)
                .bearer(token)
                .json(&json!({"is_active": false}))
                .send()
                .await,
            stack
                .get(&format!("{path}/quota"))
                .bearer(token)
                .send()
                .await,
            stack
                .put(&format!("{path}/quota"))
                .bearer(token)
                .json(&lifted)
                .send()
                .await,
            stack
                .delete(&format!("{path}/quota"))
                .bearer(token)
                .send()
                .await,
            stack
                .post(&format!("{path}/quota/reset"))
                .bearer(token)
                .send()
                .await,
            stack
                .post(&format!("{path}/sessions/revoke"))
                .bearer(token)
                .send()
                .await,
        ];

        for answer in answers {
            answer.assert_problem(404, "not-found");
        }
    }
}
