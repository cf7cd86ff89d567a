//! What the owner is promised about a policy: what it means, and what is refused in which words.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What every policy has, and nothing else.
const LEAST: &str = "version = 1\n[tiers.anonymous]\n[tiers.free]\nhour = 100\n";

const UPSTREAM: &str = "[upstreams.library]\nbase_url = \"http://127.0.0.1:9100/search\"\n";

fn parse(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The least policy with `more` at its end.
fn with(more: &str) -> Result<Policy, PolicyError> {
    Policy::parse(&format!("{LEAST}{more}\n"))
}

/// Each case is refused at the field that it names.
fn assert_refused(cases: &[(&str, &str)]) {
    for (more, path) in cases {
        let refused = with(more).expect_err(more);
        assert_eq!(refused.path(), Some(*path), "{more}: {refused}");
    }
}

fn limit(name: &str, rate: &str, per: Per) -> ClassLimit {
    ClassLimit {
        name: name.to_owned(),
        rate: rate.parse().unwrap(),
        per,
    }
}

#[test]
fn the_built_in_tiers_are_as_promised() {
    let policy = Policy::built_in();
    let summarize = || vec!["ai_summarization".to_owned()];
    let tier = |limits: [Option<u64>; 4], features: Vec<String>| TierPolicy {
        hour: limits[0],
        day: limits[1],
        month: limits[2],
        concurrent_jobs: limits[3],
        features,
    };
    let paid = tier(
        [Some(1_000), Some(10_000), Some(200_000), Some(20)],
        summarize(),
    );
    let all = vec!["ai_summarization".to_owned(), "priority".to_owned()];

    let expected = [
        (
            "anonymous",
            tier([Some(60), Some(500), None, Some(0)], vec![]),
        ),
        (
            "free",
            tier([Some(100), Some(1_000), Some(20_000), Some(5)], vec![]),
        ),
        ("enterprise", tier([None; 4], all)),
        ("premium", paid.clone()),
        ("pro", paid),
    ];

    let expected: Vec<_> = expected.iter().map(|(name, tier)| (*name, tier)).collect();
    assert_eq!(policy.tiers().collect::<Vec<_>>(), expected);
    assert_eq!(policy.anonymous().hour, Some(60));
    assert_eq!(policy.version(), 1);
}

#[test]
fn the_built_in_classes_are_as_promised() {
    let policy = Policy::built_in();
    let class = |limits: Vec<ClassLimit>, on_outage| ClassPolicy {
        limits,
        on_outage,
        mode: Mode::Enforce,
    };
    let per_user = |name, rate| vec![limit(name, rate, Per::User)];
    let per_ip = |name, rate| vec![limit(name, rate, Per::Ip)];
    let sign_in = vec![
        limit("auth", "10/minute", Per::Ip),
        limit("auth-email", "5/900s", Per::EmailAndIp),
        limit("auth-email-day", "100/day", Per::Email),
    ];

    let expected = [
        ("default", class(vec![], OnOutage::Open)),
        (
            "admin",
            class(per_user("admin", "600/minute"), OnOutage::Closed),
        ),
        ("auth", class(sign_in, OnOutage::Closed)),
        (
            "dataset_ops",
            class(per_user("dataset_ops", "200/hour"), OnOutage::Open),
        ),
        (
            "query",
            class(per_user("query", "20/minute"), OnOutage::Local),
        ),
        (
            "register",
            class(per_ip("register", "20/hour"), OnOutage::Closed),
        ),
        (
            "token",
            class(per_ip("token", "120/minute"), OnOutage::Closed),
        ),
        (
            "upload",
            class(per_user("upload", "50/hour"), OnOutage::Open),
        ),
    ];

    let expected: Vec<_> = expected
        .iter()
        .map(|(name, class)| (*name, class))
        .collect();
    assert_eq!(policy.classes().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_not_given_is_as_in_the_built_in_policy() {
    let least = parse(LEAST);
    let built_in = Policy::built_in();

    assert_eq!(least.access(), built_in.access());
    assert_eq!(least.cache_ttls(), built_in.cache_ttls());
    assert!(least.classes().eq(built_in.classes()));
    assert_eq!(least.tier("free").hour, Some(100));
    assert_eq!(least.tier("free").day, None);
}

#[test]
fn an_unknown_tier_has_the_limits_of_free_and_an_unknown_class_is_the_default() {
    let policy =
        with("[classes.default]\nlimits = [{ rate = \"7/minute\", name = \"others\" }]").unwrap();

    assert_eq!(policy.tier("platinum"), policy.tier("free"));
    assert!(policy.has_tier("free") && policy.has_tier("anonymous"));
    assert!(!policy.has_tier("platinum") && !policy.has_tier("pro"));
    assert_eq!(policy.tier("anonymous"), policy.anonymous());
    let others = [limit("others", "7/minute", Per::User)];
    assert_eq!(policy.class("unheard-of").limits, others);
}

#[test]
fn a_class_that_is_given_replaces_the_built_in_one_whole() {
    let policy = with("[classes.query]\n[classes.auth]\nmode = \"shadow\"").unwrap();

    let open = ClassPolicy {
        limits: vec![],
        on_outage: OnOutage::Open,
        mode: Mode::Enforce,
    };
    let guarded = ClassPolicy {
        limits: vec![],
        on_outage: OnOutage::Closed,
        mode: Mode::Shadow,
    };
    assert_eq!(policy.class("query"), &open);
    assert_eq!(policy.class("auth"), &guarded);
    assert_eq!(policy.class("register").limits.len(), 1);
}

#[test]
fn an_outage_closes_the_classes_that_guard_something_unless_the_owner_opens_them() {
    let cases = [
        ("register", "", OnOutage::Closed),
        ("auth", "", OnOutage::Closed),
        ("token", "", OnOutage::Closed),
        ("admin", "", OnOutage::Closed),
        ("upload", "", OnOutage::Open),
        ("mine", "", OnOutage::Open),
        ("token", "on_outage = \"local\"", OnOutage::Local),
        ("admin", "on_outage = \"open\"", OnOutage::Open),
        ("query", "on_outage = \"closed\"", OnOutage::Closed),
    ];

    for (class, fields, on_outage) in cases {
        let policy = with(&format!("[classes.{class}]\n{fields}")).unwrap();
        assert_eq!(policy.class(class).on_outage, on_outage, "{class} {fields}");
    }
}

#[test]
fn a_limit_is_a_rate_or_a_table_and_takes_its_classs_name() {
    let policy = with(
        "[classes.mine]\n\
         limits = [\"3/second\", { rate = \"0/minute\", per = \"user\", name = \"mine-too\" }]",
    )
    .unwrap();

    let expected = [
        limit("mine", "3/second", Per::User),
        limit("mine-too", "0/minute", Per::User),
    ];
    assert_eq!(policy.class("mine").limits, expected);
}

#[test]
fn rates_are_read_as_they_are_written() {
    let cases = [
        ("20/minute", 20, 60, "20/minute"),
        ("5/900s", 5, 900, "5/900s"),
        ("3/second", 3, 1, "3/second"),
        ("100/day", 100, 86_400, "100/day"),
        ("50/hour", 50, 3_600, "50/hour"),
        ("0/minute", 0, 60, "0/minute"),
        ("1/60s", 1, 60, "1/minute"),
        ("1/1s", 1, 1, "1/second"),
        (
            "1000000000/2678400s",
            1_000_000_000,
            2_678_400,
            "1000000000/2678400s",
        ),
    ];

    for (text, limit, window_seconds, shown) in cases {
        let rate: Rate = text.parse().unwrap();
        assert_eq!(
            rate,
            Rate {
                limit,
                window_seconds
            },
            "{text}"
        );
        assert_eq!(rate.to_string(), shown);
    }
}

#[test]
fn what_is_no_rate_is_refused_with_what_it_should_look_like() {
    let cases = [
        "",
        "20",
        "/minute",
        "20/",
        "20/s",
        "20/0s",
        "20/2678401s",
        "20/minutes",
        "20/week",
        "20/Minute",
        "20 / minute",
        " 20/minute",
        "20/minute ",
        "-1/minute",
        "+1/minute",
        "1.5/minute",
        "1e3/minute",
        "1_000/minute",
        "20/-5s",
        "20/+5s",
        "20/1.5s",
        "20/5",
        "20/5m",
        "1000000001/minute",
        "99999999999999999999999/minute",
        "1/99999999999999999999999s",
        "20/minute/hour",
        "٢/minute",
        "20/4294967297s",
        "unlimited",
    ];

    for case in cases {
        let refused = case.parse::<Rate>().expect_err(case);
        assert!(refused.to_string().contains("\"20/minute\""), "{case}");
        assert_refused(&[(
            &format!("[classes.query]\nlimits = [{{ rate = {case:?} }}]"),
            "classes.query.limits[0].rate",
        )]);
    }
}

#[test]
fn unknown_fields_are_refused_wherever_they_stand() {
    let cases = [
        ("[acess]", "acess"),
        ("[access]\nreveal = true", "access.reveal"),
        ("[tiers.pro]\nhours = 5", "tiers.pro.hours"),
        (
            "[classes.query]\nlimit = \"20/minute\"",
            "classes.query.limit",
        ),
        (
            "[classes.query]\nlimits = [{ rate = \"1/hour\", burst = 5 }]",
            "classes.query.limits[0].burst",
        ),
        ("[cache_ttls]\ndataset = 5", "cache_ttls.dataset"),
        ("[upstreams.x]\nurl = \"http://x\"", "upstreams.x.url"),
        (
            "[upstreams.x]\nbreaker = { closed = 1 }",
            "upstreams.x.breaker.closed",
        ),
        (
            "[upstreams.x]\nsecret_header = { value = \"x\" }",
            "upstreams.x.secret_header.value",
        ),
    ];

    assert_refused(&cases);
}

#[test]
fn numbers_that_are_none_or_absurd_are_refused() {
    let cases = [
        ("hour = -1", "hour"),
        ("hour = 1.5", "hour"),
        ("hour = 1e3", "hour"),
        ("hour = 1000000001", "hour"),
        ("hour = 9223372036854775807", "hour"),
        ("hour = 9223372036854775808", "hour"),
        ("hour = \"100\"", "hour"),
        ("hour = \"Unlimited\"", "hour"),
        ("hour = \"\"", "hour"),
        ("hour = true", "hour"),
        ("hour = nan", "hour"),
        ("hour = [100]", "hour"),
        ("hour = { limit = 100 }", "hour"),
        ("hour = 1979-05-27", "hour"),
        ("day = -1", "day"),
        ("month = inf", "month"),
        ("concurrent_jobs = \"many\"", "concurrent_jobs"),
        ("features = \"ai\"", "features"),
        ("features = [\"ai\", \"AI\"]", "features[1]"),
        ("features = [\"ai-summary\"]", "features[0]"),
        ("features = [3]", "features[0]"),
    ];

    for (field, path) in cases {
        let more = format!("[tiers.pro]\n{field}");
        assert_refused(&[(&more, &format!("tiers.pro.{path}"))]);
    }
}

#[test]
fn every_limit_of_a_tier_may_be_unlimited_zero_or_left_out() {
    let policy = with(
        "[tiers.pro]\nhour = \"unlimited\"\nday = 0\nconcurrent_jobs = 1000000000\n\
         features = [\"ai_2\"]",
    )
    .unwrap();

    let expected = TierPolicy {
        hour: None,
        day: Some(0),
        month: None,
        concurrent_jobs: Some(1_000_000_000),
        features: vec!["ai_2".to_owned()],
    };
    assert_eq!(policy.tier("pro"), &expected);
}

#[test]
fn the_version_and_two_tiers_must_be_there() {
    let cases = [
        ("", "version"),
        ("version = 2", "version"),
        ("version = \"1\"", "version"),
        ("version = 1.0", "version"),
        ("version = 1", "tiers.anonymous"),
        ("version = 1\n[tiers.free]", "tiers.anonymous"),
        ("version = 1\n[tiers.anonymous]", "tiers.free"),
        ("version = 1\ntiers = 5", "tiers"),
    ];

    for (text, path) in cases {
        let refused = Policy::parse(text).expect_err(text);
        assert_eq!(refused.path(), Some(path), "{text}: {refused}");
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let long = "a".repeat(33);
    let names = ["", "A", "1a", "_a", "-a", "a b", "ä", "a.b", "a/b", &long];

    for name in names {
        assert_refused(&[
            (&format!("[tiers.{name:?}]"), &format!("tiers.{name}")),
            (&format!("[classes.{name:?}]"), &format!("classes.{name}")),
            (
                &format!("[upstreams.{name:?}]"),
                &format!("upstreams.{name}"),
            ),
            (
                &format!("[classes.query]\nlimits = [{{ rate = \"1/day\", name = {name:?} }}]"),
                "classes.query.limits[0].name",
            ),
        ]);
    }
    let longest = "a".repeat(32);
    assert!(
        with(&format!("[tiers.{longest}]"))
            .unwrap()
            .has_tier(&longest)
    );
}

#[test]
fn of_one_name_there_is_one_limit() {
    let cases = [
        (
            "[classes.query]\nlimits = [\"1/day\", \"2/day\"]",
            "classes.query.limits[1].name",
        ),
        (
            "[classes.mine]\nlimits = [{ rate = \"1/day\", name = \"query\" }]",
            "classes.mine.limits[0].name",
        ),
        (
            "[classes.aa]\nlimits = [{ rate = \"1/day\", name = \"auth-email\" }]",
            "classes.aa.limits[0].name",
        ),
        (
            "[classes.a]\nlimits = [{ rate = \"1/day\", name = \"b\" }]\n\
             [classes.b]\nlimits = [\"1/day\"]",
            "classes.b.limits[0].name",
        ),
        (
            "[classes.default]\nlimits = [\"1/day\"]",
            "classes.default.limits[0].name",
        ),
        ("[classes.hour]", "classes.hour"),
        ("[classes.key-day]\nlimits = [\"1/day\"]", "classes.key-day"),
    ];
    assert_refused(&cases);

    for reserved in [
        "hour",
        "day",
        "month",
        "key-hour",
        "key-day",
        "key-month",
        "default",
    ] {
        let more =
            format!("[classes.mine]\nlimits = [{{ rate = \"1/day\", name = {reserved:?} }}]");
        assert_refused(&[(&more, "classes.mine.limits[0].name")]);
    }
}

#[test]
fn the_name_of_a_limit_is_free_again_when_its_class_is_replaced() {
    let policy = with(
        "[classes.auth]\nlimits = [{ rate = \"10/minute\", per = \"ip\" }]\n\
         [classes.mine]\nlimits = [{ rate = \"1/day\", name = \"auth-email\" }]",
    )
    .unwrap();

    let expected = [limit("auth-email", "1/day", Per::User)];
    assert_eq!(policy.class("mine").limits, expected);
}

#[test]
fn a_limit_counts_only_whom_its_class_knows() {
    let refused = [
        ("query", "ip", "per"),
        ("query", "email", "per"),
        ("mine", "email+ip", "per"),
        ("default", "ip", "per"),
        ("admin", "ip", "per"),
        ("register", "user", "per"),
        ("register", "email", "per"),
        ("auth", "user", "per"),
        ("token", "user", "per"),
        ("token", "email+ip", "per"),
        ("auth", "ip+email", "per"),
        ("auth", "IP", "per"),
    ];
    for (class, per, field) in refused {
        let more = format!(
            "[classes.{class}]\nlimits = [{{ rate = \"1/day\", per = {per:?}, name = \"some\" }}]"
        );
        assert_refused(&[(&more, &format!("classes.{class}.limits[0].{field}"))]);
    }
    assert_refused(&[
        (
            "[classes.register]\nlimits = [\"20/hour\"]",
            "classes.register.limits[0].per",
        ),
        (
            "[classes.auth]\nlimits = [{ rate = \"1/day\", per = \"email\" }]",
            "classes.auth.limits[0].name",
        ),
        (
            "[classes.auth]\nlimits = [{ rate = \"1/day\", per = \"email+ip\" }]",
            "classes.auth.limits[0].name",
        ),
    ]);
}

#[test]
fn classes_of_the_wrong_form_are_refused() {
    let cases = [
        (
            "[classes.query]\nlimits = \"20/minute\"",
            "classes.query.limits",
        ),
        ("[classes.query]\nlimits = [20]", "classes.query.limits[0]"),
        (
            "[classes.query]\nlimits = [\"20/minutes\"]",
            "classes.query.limits[0]",
        ),
        (
            "[classes.query]\nlimits = [{ per = \"user\" }]",
            "classes.query.limits[0].rate",
        ),
        (
            "[classes.query]\nlimits = [{ rate = 20 }]",
            "classes.query.limits[0].rate",
        ),
        (
            "[classes.query]\nlimits = [[\"20/minute\"]]",
            "classes.query.limits[0]",
        ),
        (
            "[classes.query]\non_outage = \"shut\"",
            "classes.query.on_outage",
        ),
        (
            "[classes.query]\non_outage = { open = {} }",
            "classes.query.on_outage",
        ),
        ("[classes.query]\nmode = \"off\"", "classes.query.mode"),
        ("[classes.query]\nmode = false", "classes.query.mode"),
        ("[classes]\nquery = 5", "classes.query"),
        (
            "[classes.query]\nlimits = [\"1/day\", \"1/hour\", \"1/minute\", \"1/second\"]",
            "classes.query.limits",
        ),
        (
            "[access]\nrequire_verified_email = [\"query:all\"]",
            "access.require_verified_email[0]",
        ),
        (
            "[access]\nrequire_verified_email = [\"\"]",
            "access.require_verified_email[0]",
        ),
        (
            "[access]\nreveal_accounts = \"no\"",
            "access.reveal_accounts",
        ),
        ("[cache_ttls]\nquery_result = 0", "cache_ttls.query_result"),
        ("[cache_ttls]\nquery_result = -5", "cache_ttls.query_result"),
        (
            "[cache_ttls]\nquery_result = 2678401",
            "cache_ttls.query_result",
        ),
        (
            "[cache_ttls]\nquery_result = \"unlimited\"",
            "cache_ttls.query_result",
        ),
    ];

    assert_refused(&cases);
}

#[test]
fn sixteen_classes_fit_built_in_ones_included() {
    let own = |count: usize| -> String {
        (0..count).fold(String::new(), |text, index| {
            text + &format!("[classes.own-{index}]\n")
        })
    };

    let policy = with(&own(8)).unwrap();

    assert_eq!(policy.classes().count(), 16);
    assert_refused(&[(&own(9), "classes")]);
}

#[test]
fn access_and_cache_times_are_read() {
    let policy = with(
        "[access]\nrequire_verified_email = [\"query:run\", \"limits:check\"]\n\
         reveal_accounts = false\n[cache_ttls]\ndataset_list = 61\nllm_models = 1",
    )
    .unwrap();

    assert_eq!(
        policy.access().require_verified_email,
        ["query:run", "limits:check"]
    );
    assert!(!policy.access().reveal_accounts);
    let expected = CacheTtls {
        dataset_list: Duration::from_secs(61),
        llm_models: Duration::from_secs(1),
        ..CacheTtls::default()
    };
    assert_eq!(policy.cache_ttls(), &expected);
}

#[test]
fn an_upstream_has_what_is_written_and_the_defaults() {
    let policy = with(&format!(
        "{UPSTREAM}[upstreams.models]\nbase_url = \"https://models.example.com\"\n\
         method = \"POST\"\nproxy = true\nmethods = [\"GET\", \"POST\"]\n\
         paths = [\"/v1/\", \"/v2\"]\nforward_headers = [\"Accept\"]\ntimeout_ms = 30000\n\
         retries = 0\ncache_ttl_seconds = 0\nnegative_ttl_seconds = 9\nstale_seconds = 60\nshared_cache = true\n\
         allow_refresh = true\nhit_cost = 0\nclass = \"upload\"\ncost = 3\n\
         requires_feature = \"ai_summarization\"\nbreaker = {{ failures = 9 }}\n\
         headers = {{ \"X-Client\" = \"turnpike\" }}\n\
         secret_header = {{ name = \"Authorization\", secret = \"library-token\" }}"
    ))
    .unwrap();

    let library = policy.upstream("library").unwrap();
    assert_eq!(library.base_url, "http://127.0.0.1:9100/search");
    assert_eq!(library.methods, ["GET", "HEAD"]);
    assert_eq!(library.paths, ["/"]);
    assert_eq!(library.forward_headers.len(), 5);
    assert_eq!(
        (library.class.as_str(), library.cost, library.hit_cost),
        ("query", 1, 1)
    );
    assert_eq!(library.cache_ttl, Duration::from_mins(5));
    assert!(!library.proxy && !library.shared_cache && !library.allow_refresh);
    assert_eq!(library.breaker, BreakerPolicy::default());

    let models = policy.upstream("models").unwrap();
    assert_eq!(models.method, QueryMethod::Post);
    assert_eq!(models.methods, ["GET", "POST"]);
    assert_eq!(models.paths, ["/v1/", "/v2"]);
    assert_eq!(models.forward_headers, ["accept"]);
    assert_eq!(
        (models.timeout, models.retries),
        (Duration::from_secs(30), 0)
    );
    assert_eq!(
        (models.cache_ttl, models.stale),
        (Duration::ZERO, Duration::from_mins(1))
    );
    assert_eq!(
        (library.negative_ttl, models.negative_ttl),
        (Duration::ZERO, Duration::from_secs(9))
    );
    assert_eq!(
        (models.class.as_str(), models.cost, models.hit_cost),
        ("upload", 3, 0)
    );
    assert_eq!(models.requires_feature.as_deref(), Some("ai_summarization"));
    assert_eq!(
        (models.breaker.failures, models.breaker.open),
        (9, Duration::from_mins(1))
    );
    assert_eq!(models.headers["x-client"], "turnpike");
    let secret = models.secret_header.as_ref().unwrap();
    assert_eq!(
        (secret.name.as_str(), secret.secret.as_str()),
        ("authorization", "library-token")
    );
    assert_eq!(policy.upstream("others"), None);
}

#[test]
fn an_upstream_that_could_not_be_trusted_is_refused() {
    let cases = [
        ("timeout_ms = 0", "timeout_ms"),
        ("timeout_ms = 30001", "timeout_ms"),
        ("retries = 6", "retries"),
        ("retries = -1", "retries"),
        ("cost = -1", "cost"),
        ("hit_cost = 1.5", "hit_cost"),
        ("cost = 2\nhit_cost = 3", "hit_cost"),
        ("cache_ttl_seconds = -1", "cache_ttl_seconds"),
        ("stale_seconds = 86401", "stale_seconds"),
        ("negative_ttl_seconds = 86401", "negative_ttl_seconds"),
        ("class = \"unheard-of\"", "class"),
        ("class = \"auth\"", "class"),
        ("method = \"PUT\"", "method"),
        ("methods = []", "methods"),
        ("methods = [\"GET\", \"TRACE\"]", "methods[1]"),
        ("methods = [\"get\"]", "methods[0]"),
        ("paths = []", "paths"),
        ("paths = [\"v1\"]", "paths[0]"),
        ("paths = [\"/v1/../admin\"]", "paths[0]"),
        ("paths = [\"/v1?x=1\"]", "paths[0]"),
        ("paths = [\"//v1\"]", "paths[0]"),
        ("paths = [\"/{id}\"]", "paths[0]"),
        ("paths = [\"/v1/..;/admin\"]", "paths[0]"),
        ("paths = [\"/;a/b\"]", "paths[0]"),
        (
            "forward_headers = [\"Accept-Encoding\"]",
            "forward_headers[0]",
        ),
        (
            "headers = { Accept-Encoding = \"gzip\" }",
            "headers.Accept-Encoding",
        ),
        ("requires_feature = \"AI\"", "requires_feature"),
        ("breaker = { failures = 0 }", "breaker.failures"),
        ("breaker = { open_seconds = 0 }", "breaker.open_seconds"),
        ("headers = { \"not a name\" = \"x\" }", "headers.not a name"),
        ("headers = { x-a = \"1\", X-A = \"2\" }", "headers.x-a"),
        ("headers = { x-a = \"a\\r\\nb: c\" }", "headers.x-a"),
        ("headers = { x-a = 5 }", "headers.x-a"),
        (
            "secret_header = { name = \"X-Token\" }",
            "secret_header.secret",
        ),
        (
            "secret_header = { secret = \"token\" }",
            "secret_header.name",
        ),
        (
            "secret_header = { name = \"Cookie\", secret = \"token\" }",
            "secret_header.name",
        ),
        (
            "secret_header = { name = \"X-Token\", secret = \"a b\" }",
            "secret_header.secret",
        ),
        (
            "secret_header = { name = \"X-Token\", secret = \"a\" }\nheaders = { x-token = \"b\" }",
            "headers.x-token",
        ),
        (
            "secret_header = { name = \"X-Token\", secret = \"a\" }\n\
             forward_headers = [\"accept\", \"x-token\"]",
            "forward_headers[1]",
        ),
        (
            "headers = { Accept = \"text/plain\" }\nforward_headers = [\"accept\"]",
            "forward_headers[0]",
        ),
    ];

    for (field, path) in cases {
        assert_refused(&[(
            &format!("{UPSTREAM}{field}"),
            &format!("upstreams.library.{path}"),
        )]);
    }
}

#[test]
fn credentials_and_the_headers_of_a_connection_are_never_passed_on() {
    let names = [
        "Authorization",
        "Cookie",
        "Host",
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-anything",
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Content-Length",
        "X-API-Key",
    ];

    for name in names {
        assert_refused(&[
            (
                &format!("{UPSTREAM}forward_headers = [\"accept\", {name:?}]"),
                "upstreams.library.forward_headers[1]",
            ),
            (
                &format!("{UPSTREAM}headers = {{ {name} = \"x\" }}"),
                &format!("upstreams.library.headers.{name}"),
            ),
        ]);
    }
}

#[test]
fn base_urls_are_http_with_a_host_and_nothing_that_hides() {
    let refused = [
        "",
        "library",
        "/search",
        "ftp://library.example.com",
        "file:///etc/passwd",
        "http://",
        "http:///search",
        "http://:80/",
        "http://user@library.example.com",
        "http://user:secret@library.example.com",
        "http://library.example.com?x=1",
        "http://library.example.com/?",
        "http://library.example.com/#top",
        "http://library.example.com:",
        "http://library.example.com:99999",
        "http://library.example.com/a/../b",
        "http://library.example.com/./b",
        "http://library.example.com//b",
        "http://library.example.com/%2e%2e/b",
        "http://library.example.com/a\\\\b",
        "http://library .example.com",
    ];
    for url in refused {
        let more = format!("[upstreams.library]\nbase_url = \"{url}\"");
        assert_refused(&[(&more, "upstreams.library.base_url")]);
    }
    assert_refused(&[("[upstreams.library]", "upstreams.library.base_url")]);

    for url in [
        "http://[::1]:9100",
        "https://library.example.com/",
        "http://localhost/a/b/",
    ] {
        let more = format!("[upstreams.library]\nbase_url = \"{url}\"");
        assert!(with(&more).is_ok(), "{url}");
    }
}

#[test]
fn an_error_says_which_field_is_wrong_and_what_it_should_be() {
    let cases = [
        (
            with("[tiers.pro]\nhour = -1"),
            "tiers.pro.hour: invalid value: integer `-1`, expected a whole number from 0 to \
             1000000000, or \"unlimited\"",
        ),
        (
            with("[classes.query]\nlimits = [{ rate = \"20/week\" }]"),
            "classes.query.limits[0].rate: invalid value: string \"20/week\", expected a rate \
             such as \"20/minute\" or \"5/900s\": a number up to 1000000000, then /second, \
             /minute, /hour, /day or /<seconds>s with 1 to 2678400 seconds",
        ),
        (
            with("[classes.query]\nmode = \"off\""),
            "classes.query.mode: invalid value: string \"off\", expected \"enforce\" or \"shadow\"",
        ),
        (
            with("[tiers.pro]\nhours = 5"),
            "tiers.pro.hours: unknown field `hours`, expected one of `hour`, `day`, `month`, \
             `concurrent_jobs`, `features`",
        ),
        (
            Policy::parse(&LEAST.replace("version = 1", "")),
            "version: it is missing; it should be the number 1",
        ),
        (
            Policy::parse(&LEAST.replace('1', "2")),
            "version: invalid value: integer `2`, expected the number 1",
        ),
    ];

    for (refused, text) in cases {
        assert_eq!(refused.unwrap_err().to_string(), text);
    }
}

#[test]
fn a_text_that_is_not_toml_is_refused_with_line_and_column() {
    let cases = [
        ("version = 1\n[tiers.free\n", 2, 12),
        ("version = 1\nversion = 1\n", 2, 1),
        ("version = 1\r\n\r\nhöur = 5", 3, 2),
        ("= 5", 1, 1),
        ("a = \"ä\" b", 1, 9),
    ];

    for (text, expected_line, expected_column) in cases {
        let refused = Policy::parse(text).expect_err(text);
        let PolicyError::Syntax { line, column, .. } = refused else {
            panic!("{text}: {refused}");
        };
        assert_eq!((line, column), (expected_line, expected_column), "{text}");
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_before_it_is_read() {
    let fits = format!("{LEAST}#{}", " ".repeat(MAX_BYTES - LEAST.len() - 1));

    assert!(Policy::parse(&fits).is_ok());
    assert_eq!(
        Policy::parse(&format!("{fits} ")),
        Err(PolicyError::TooLong {
            bytes: MAX_BYTES + 1
        })
    );
}

#[test]
fn an_error_is_short_and_holds_no_header_whatever_the_policy_holds() {
    let long = "x".repeat(100_000);
    for more in [
        format!("[tiers.{long}]"),
        format!("{long} = 5"),
        format!("[classes.query]\nlimits = [\"{long}\"]"),
    ] {
        assert!(with(&more).unwrap_err().to_string().len() < 1_000);
    }

    for more in [
        "headers = \"hunter2\"",
        "headers = [\"hunter2\"]",
        "headers = { x-a = \"hunter2\\u0000\" }",
        "headers = { authorization = \"hunter2\" }",
    ] {
        let refused = with(&format!("{UPSTREAM}{more}")).expect_err(more);
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
    let policy = with(&format!("{UPSTREAM}headers = {{ x-a = \"hunter2\" }}")).unwrap();
    assert!(!format!("{policy:?}").contains("hunter2"));
}

#[test]
fn a_policy_nested_without_end_is_refused() {
    let cases = [
        "a = ".to_owned() + &"[".repeat(100_000),
        "a = ".to_owned() + &"{a=".repeat(50_000),
        "a.".repeat(100_000) + "a = 1",
        "[".to_owned() + &"a.".repeat(100_000) + "a]",
    ];

    for case in cases {
        assert!(Policy::parse(&case).is_err());
    }
}

#[test]
fn a_digest_tells_texts_apart() {
    let (one, same) = (parse(LEAST), parse(LEAST));
    let other = parse(&LEAST.replace("100", "101"));

    assert_eq!(one.digest(), same.digest());
    assert_ne!(one.digest(), other.digest());
    // `printf 'version = 1\n[tiers.anonymous]\n[tiers.free]\nhour = 100\n' | sha256sum | cut -c1-16`
    assert_eq!(one.digest(), "c965bad8f1b742f7");
    assert!(parse(BUILT_IN_TEXT).digest() == Policy::built_in().digest());
}

fn any_bound() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        Just(Some(0)),
        (0..=1_000_000_000_u64).prop_map(Some)
    ]
}

fn any_tier() -> impl Strategy<Value = TierPolicy> {
    let features = prop::collection::vec("[a-z][a-z0-9_]{0,9}", 0..3);
    (any_bound(), any_bound(), any_bound(), any_bound(), features).prop_map(
        |(hour, day, month, concurrent_jobs, features)| TierPolicy {
            hour,
            day,
            month,
            concurrent_jobs,
            features,
        },
    )
}

fn any_rate() -> impl Strategy<Value = Rate> {
    let window = prop_oneof![
        Just(1),
        Just(60),
        Just(3_600),
        Just(86_400),
        1..=2_678_400_u32
    ];
    (0..=1_000_000_000_u64, window).prop_map(|(limit, window_seconds)| Rate {
        limit,
        window_seconds,
    })
}

fn any_on_outage() -> impl Strategy<Value = OnOutage> {
    prop_oneof![
        Just(OnOutage::Open),
        Just(OnOutage::Local),
        Just(OnOutage::Closed)
    ]
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Enforce), Just(Mode::Shadow)]
}

/// Classes of the owner's own, whose limits' names cannot clash.
fn any_classes() -> impl Strategy<Value = BTreeMap<String, ClassPolicy>> {
    let class = (
        prop::collection::vec(any_rate(), 0..=3),
        any_on_outage(),
        any_mode(),
    );
    prop::collection::btree_map("own-[a-z0-9_-]{0,8}", class, 0..=8).prop_map(|classes| {
        let named = |name: &String, rates: Vec<Rate>| -> Vec<ClassLimit> {
            let limits = rates.into_iter().enumerate();
            let limit = |(index, rate)| ClassLimit {
                name: format!("{}-{index}", name.replacen("own", "limit", 1)),
                rate,
                per: Per::User,
            };
            limits.map(limit).collect()
        };
        let policy = |(name, (rates, on_outage, mode)): (String, (Vec<Rate>, _, _))| {
            let limits = named(&name, rates);
            (
                name,
                ClassPolicy {
                    limits,
                    on_outage,
                    mode,
                },
            )
        };
        classes.into_iter().map(policy).collect()
    })
}

/// How an owner would write them.
fn written(
    tiers: &BTreeMap<String, TierPolicy>,
    classes: &BTreeMap<String, ClassPolicy>,
) -> String {
    let mut text = "version = 1\n".to_owned();
    for (name, tier) in tiers {
        let bound = |limit: Option<u64>| {
            limit.map_or_else(|| "\"unlimited\"".to_owned(), |limit| limit.to_string())
        };
        let TierPolicy {
            hour,
            day,
            month,
            concurrent_jobs,
            features,
        } = tier;
        let (hour, day, month) = (bound(*hour), bound(*day), bound(*month));
        let jobs = bound(*concurrent_jobs);
        writeln!(
            text,
            "[tiers.{name}]\nhour = {hour}\nday = {day}\nmonth = {month}\n\
             concurrent_jobs = {jobs}\nfeatures = {features:?}"
        )
        .unwrap();
    }
    for (name, class) in classes {
        let limits = class.limits.iter().map(|limit| {
            let ClassLimit { name, rate, per } = limit;
            format!("{{ name = \"{name}\", rate = \"{rate}\", per = \"{per}\" }}")
        });
        let limits = limits.collect::<Vec<_>>().join(", ");
        let ClassPolicy {
            on_outage, mode, ..
        } = class;
        writeln!(
            text,
            "[classes.{name}]\nlimits = [{limits}]\non_outage = \"{on_outage}\"\nmode = \"{mode}\""
        )
        .unwrap();
    }
    text
}

proptest! {
    #[test]
    fn a_policy_means_what_was_written(
        anonymous in any_tier(),
        free in any_tier(),
        mut tiers in prop::collection::btree_map("t[a-z0-9_-]{0,8}", any_tier(), 0..4),
        classes in any_classes(),
    ) {
        tiers.insert("anonymous".to_owned(), anonymous);
        tiers.insert("free".to_owned(), free);

        let policy = parse(&written(&tiers, &classes));

        prop_assert_eq!(policy.tiers().count(), tiers.len());
        for (name, tier) in &tiers {
            prop_assert_eq!(policy.tier(name), tier);
        }
        prop_assert_eq!(policy.classes().count(), classes.len() + 8);
        for (name, class) in &classes {
            prop_assert_eq!(policy.class(name), class);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Policy::parse(&text);
    }

    #[test]
    fn no_damage_to_a_policy_makes_the_parser_panic(
        at in any::<prop::sample::Index>(),
        removed in 0..40_usize,
        put in "[\\[\\]{}=\"'.,#\n\r0-9a-zäß\u{0} -]{0,8}",
    ) {
        let mut characters: Vec<char> = BUILT_IN_TEXT.chars().collect();
        let at = at.index(characters.len());
        let end = (at + removed).min(characters.len());
        characters.splice(at..end, put.chars());

        let _ = Policy::parse(&characters.into_iter().collect::<String>());
    }
}
