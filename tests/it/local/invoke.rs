//! `POST /2015-03-31/functions/{name}/invocations`

use crate::support::TestStack;

const PATH: &str = "/2015-03-31/functions/nothing/invocations";

#[tokio::test]
async fn only_this_machine_invokes_and_only_by_its_own_name() {
    let stack = TestStack::start().await;
    let port = stack.stack.addr.port();
    let refused = [
        ("host", "evil.example".to_owned()),
        ("host", format!("evil.example:{port}")),
        ("origin", "https://evil.example".to_owned()),
        ("origin", "null".to_owned()),
    ];

    for (name, value) in refused {
        let answer = stack.post(PATH).header(name, &value).send().await;
        answer.assert_problem(404, "not-found");
    }
    let answer = stack.post(PATH).send().await;

    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.headers["x-amzn-errortype"],
        "ResourceNotFoundException"
    );
    assert_eq!(answer.body["Message"], "Function not found: nothing");
}
