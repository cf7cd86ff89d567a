//! Whatever breaks off between a request and its answer, a repetition ends with one effect.

use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio::io::AsyncWriteExt as _;

use super::{Instances, live_keys, make, register, wish};
use crate::support::{Account, Answer, Fault, KEYS, Key, PASSWORD, TestStack};

/// Longer than a try keeps others waiting.
const LEASE_OVER: Duration = Duration::from_secs(31);

impl Instances {
    /// Sends a request to the second one until it is answered, past the lease of a try that broke
    /// off.
    async fn repeat(&self, send: impl AsyncFn(&TestStack) -> Answer) -> Answer {
        let answer = send(&self.second).await;
        if answer.status != 409 {
            return answer;
        }
        answer.assert_problem(409, "idempotency-in-progress");
        self.first.pass(LEASE_OVER);
        self.second.pass(LEASE_OVER);
        send(&self.second).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_function_is_cut_off_while_it_makes_a_key_the_repetition_ends_with_one() {
    let (mut was_replayed, mut was_done_anew) = (0, 0);

    for calls in 0.. {
        assert!(
            calls < 30,
            "a request asks the database less often than that"
        );
        // New ones each time: what is cut off may go on asking for a while, and is not to be counted.
        let instances = Instances::start().await;
        let ada = instances.second.register("ada@example.com").await;
        // The credential is confirmed, so it is let in although the database is away.
        assert_eq!(live_keys(&instances.first, &ada).await, 0);

        instances.proxy.set(Fault::CutOff(calls));
        let broken_off = make(&instances.first, &ada, "once", &wish()).await;
        instances.proxy.set(Fault::None);
        let again = async |stack: &TestStack| make(stack, &ada, "once", &wish()).await;
        let answer = instances.repeat(again).await;

        assert_eq!(answer.status, 201, "{calls}: {}", answer.text);
        assert_eq!(live_keys(&instances.second, &ada).await, 1, "{calls}");
        let key = Key::from_answer(&answer);
        assert_eq!(instances.second.use_key(&key).await.status, 200);
        if broken_off.status == 201 {
            break;
        }
        assert_eq!(broken_off.status, 503, "{calls}: {}", broken_off.text);
        if answer.is_replayed() {
            was_replayed += 1;
        } else {
            was_done_anew += 1;
        }
    }
    assert!(was_done_anew > 1, "cut off before the key was made");
    assert_eq!(was_replayed, 1, "and between that and the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_function_is_cut_off_while_it_registers_the_repetition_ends_with_one_account() {
    let mut was_replayed = 0;

    for calls in 0.. {
        assert!(
            calls < 30,
            "a request asks the database less often than that"
        );
        let instances = Instances::start().await;
        let email = "ada@example.com";

        instances.proxy.set(Fault::CutOff(calls));
        let broken_off = register(&instances.first, email, PASSWORD, "once").await;
        instances.proxy.set(Fault::None);
        let again = async |stack: &TestStack| register(stack, email, PASSWORD, "once").await;
        let answer = instances.repeat(again).await;

        assert_eq!(answer.status, 201, "{calls}: {}", answer.text);
        let account = Account::from_answer(email, &answer.body);
        assert_eq!(instances.second.me_status(&account.access_token).await, 200);
        assert_eq!(instances.second.login(email).await.id, account.id);
        if broken_off.status == 201 {
            break;
        }
        assert_eq!(broken_off.status, 503, "{calls}: {}", broken_off.text);
        was_replayed += usize::from(answer.is_replayed());
    }
    assert_eq!(
        was_replayed, 1,
        "cut off between the account and the answer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_whose_place_was_taken_does_nothing_when_it_wakes_up() {
    let instances = &Instances::start().await;
    let Instances {
        first,
        second,
        proxy,
        ..
    } = instances;
    let ada = second.register("ada@example.com").await;

    proxy.set(Fault::Hold("TransactItems".to_owned()));
    let body = wish();
    let asleep = make(first, &ada, "once", &body);
    let meanwhile = async {
        instances.until_running().await;
        let early = make(second, &ada, "once", &wish()).await;
        second.pass(LEASE_OVER);
        let taken_over = make(second, &ada, "once", &wish()).await;
        proxy.set(Fault::None);
        (early, taken_over)
    };
    let (woken, (early, taken_over)) = join(asleep, meanwhile).await;

    early.assert_problem(409, "idempotency-in-progress");
    assert_eq!(taken_over.status, 201, "{}", taken_over.text);
    woken.assert_problem(409, "idempotency-in-progress");
    assert_eq!(live_keys(second, &ada).await, 1);
    let again = make(second, &ada, "once", &wish()).await;
    assert_eq!(again.text, taken_over.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_whose_place_was_taken_is_not_told_that_the_address_is() {
    let instances = &Instances::start().await;
    let Instances {
        first,
        second,
        proxy,
        ..
    } = instances;

    proxy.set(Fault::Hold("TransactItems".to_owned()));
    let asleep = register(first, "ada@example.com", PASSWORD, "once");
    let meanwhile = async {
        instances.until_running().await;
        second.pass(LEASE_OVER);
        let taken_over = register(second, "ada@example.com", PASSWORD, "once").await;
        proxy.set(Fault::None);
        taken_over
    };
    let (woken, taken_over) = join(asleep, meanwhile).await;

    assert_eq!(taken_over.status, 201, "{}", taken_over.text);
    woken.assert_problem(409, "idempotency-in-progress");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_leaves_its_key_free_or_answered() {
    let instances = &Instances::start().await;
    let Instances {
        first,
        second,
        proxy,
        ..
    } = instances;
    let ada = second.register("ada@example.com").await;

    proxy.set(Fault::Hold("TransactItems".to_owned()));
    let body = wish().to_string();
    let mut connection = tokio::net::TcpStream::connect(first.stack.addr)
        .await
        .unwrap();
    let request = format!(
        "POST {KEYS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         idempotency-key: once\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        ada.access_token,
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    instances.until_running().await;
    let met = make(second, &ada, "once", &wish()).await;
    drop(connection);

    // No time is moved on: nobody waits for the lease.
    let deadline = Instant::now() + Duration::from_secs(20);
    let answer = loop {
        assert!(Instant::now() < deadline, "the key is never free");
        let answer = make(second, &ada, "once", &wish()).await;
        if answer.status != 409 {
            break answer;
        }
    };
    proxy.set(Fault::None);

    met.assert_problem(409, "idempotency-in-progress");
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(live_keys(second, &ada).await, 1);
}

#[tokio::test]
async fn a_database_that_is_away_is_told_and_nothing_is_done() {
    let Instances { first, proxy, .. } = &Instances::start().await;
    let ada = first.register("ada@example.com").await;
    assert_eq!(live_keys(first, &ada).await, 0);

    proxy.set(Fault::Failure);
    let away = make(first, &ada, "once", &wish()).await;
    proxy.set(Fault::None);
    let back = make(first, &ada, "once", &wish()).await;

    away.assert_problem(503, "service-unavailable");
    assert_eq!(away.header("retry-after"), "1");
    assert_eq!(back.status, 201, "{}", back.text);
    assert_eq!(live_keys(first, &ada).await, 1);
}

#[tokio::test]
async fn a_try_that_meets_the_writing_of_the_answer_is_told_to_come_again() {
    let Instances { first, proxy, .. } = &Instances::start().await;
    let ada = first.register("ada@example.com").await;
    make(first, &ada, "once", &wish()).await;

    proxy.set(Fault::Conflicts("PutItem", 1));
    let met = make(first, &ada, "once", &wish()).await;
    let again = make(first, &ada, "once", &wish()).await;

    met.assert_problem(409, "idempotency-in-progress");
    assert!(again.is_replayed(), "{}", again.text);
}
