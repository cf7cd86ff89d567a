//! What may be kept and given to whom, as tables of cases.

use super::*;

const T: Timestamp = Timestamp::from_millis(1_795_207_396_000);
const OLD: &str = "Fri, 06 Nov 2026 20:43:16 GMT";

const OWN: Terms = Terms {
    is_shared: false,
    is_authorized: false,
    may_refresh: true,
};
const SHARED: Terms = Terms {
    is_shared: true,
    ..OWN
};

type Pairs = &'static [(&'static str, &'static str)];

fn headers(pairs: Pairs) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn asked(request: Pairs, terms: Terms) -> Asked {
    Asked::new(&headers(request), headers(request), terms)
}

fn answer(status: u16, pairs: Pairs) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(b"content"));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    *answer.headers_mut() = headers(pairs);
    answer
}

fn entry(request: Pairs, status: u16, pairs: Pairs, terms: Terms) -> Entry {
    Entry::of_answer(
        &asked(request, terms),
        terms,
        answer(status, pairs),
        false,
        T,
    )
}

fn after(seconds: u64) -> Timestamp {
    T.plus(Duration::from_secs(seconds))
}

#[test]
fn what_must_not_be_kept_is_not() {
    let cases: &[(Pairs, u16, Pairs, bool, bool)] = &[
        (&[], 200, &[("cache-control", "max-age=60")], true, true),
        (&[], 200, &[], true, true),
        (&[], 203, &[], true, true),
        (
            &[],
            200,
            &[("cache-control", "No-Store, max-age=60")],
            false,
            false,
        ),
        (
            &[],
            200,
            &[("cache-control", "max-age=60, Private")],
            true,
            false,
        ),
        (
            &[],
            200,
            &[("cache-control", "private=\"x\", max-age=60")],
            true,
            false,
        ),
        (
            &[("cache-control", "no-store")],
            200,
            &[("cache-control", "max-age=60")],
            false,
            false,
        ),
        (&[], 200, &[("vary", "accept, *")], false, false),
        (&[], 200, &[("vary", "accept")], true, true),
        (&[], 206, &[("cache-control", "max-age=60")], false, false),
        (&[], 302, &[], false, false),
        (&[], 302, &[("cache-control", "max-age=60")], true, true),
        (&[], 404, &[], true, true),
        (&[], 403, &[("cache-control", "max-age=60")], false, false),
        (&[], 500, &[("cache-control", "max-age=60")], false, false),
        (&[], 501, &[("cache-control", "max-age=60")], false, false),
    ];

    for (request, status, given, by_one, by_all) in cases {
        let is_kept = |terms| entry(request, *status, given, terms).is_reusable;
        assert_eq!(is_kept(OWN), *by_one, "{status} {given:?} to {request:?}");
        assert_eq!(
            is_kept(SHARED),
            *by_all,
            "{status} {given:?} to {request:?}"
        );
    }
}

#[test]
fn what_sets_a_cookie_is_not_kept() {
    let answer = answer(200, &[("cache-control", "public, max-age=60")]);

    let entry = Entry::of_answer(&asked(&[], OWN), OWN, answer, true, T);

    assert!(!entry.is_reusable);
    assert_eq!(entry.lifetime(OWN, T), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn what_an_upstream_gave_for_its_secret_is_shared_only_where_it_says_so() {
    let authorized = |terms| Terms {
        is_authorized: true,
        ..terms
    };
    let cases: &[(&'static str, bool)] = &[
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ];

    for (said, expected) in cases {
        let given: Pairs = Box::leak(Box::new([("cache-control", *said)]));
        let shared = entry(&[], 200, given, authorized(SHARED));
        let own = entry(&[], 200, given, authorized(OWN));
        assert_eq!(shared.is_reusable, *expected, "{said}");
        assert!(own.is_reusable, "{said}");
    }
}

#[test]
fn freshness_follows_what_is_said_and_else_what_can_be_guessed() {
    let day = 24 * 60 * 60;
    let cases: &[(Pairs, u64, u64)] = &[
        (&[("cache-control", "max-age=60")], 60, 60),
        (&[("cache-control", "MAX-AGE=\"60\"")], 60, 60),
        (&[("cache-control", "max-age=60, s-maxage=10")], 60, 10),
        (&[("cache-control", "max-age=60"), ("age", "25")], 35, 35),
        (
            &[
                ("cache-control", "max-age=60"),
                ("age", "99999999999999999999"),
            ],
            0,
            0,
        ),
        (&[("cache-control", "max-age=60"), ("age", "soon")], 60, 60),
        (&[("cache-control", "max-age=60"), ("expires", "0")], 60, 60),
        (&[("cache-control", "no-cache, max-age=60")], 0, 0),
        (&[("cache-control", "max-age=60, proxy-revalidate")], 60, 0),
        (&[("cache-control", "immutable")], 0, 0),
        (&[("cache-control", "max-age=99999999999")], day, day),
        (
            &[
                ("pragma", "no-cache"),
                ("expires", "Sat, 21 Nov 2026 21:43:16 GMT"),
            ],
            0,
            0,
        ),
        (&[("expires", "0")], 0, 0),
        (&[("expires", "never")], 0, 0),
        (
            &[
                ("date", "Sat, 21 Nov 2026 00:00:00 GMT"),
                ("expires", "Sat, 21 Nov 2026 00:01:00 GMT"),
            ],
            60,
            60,
        ),
        (
            &[
                ("date", "Saturday, 21-Nov-26 00:00:00 GMT"),
                ("expires", "Sat Nov 21 00:01:00 2026"),
            ],
            60,
            60,
        ),
        (
            &[
                ("date", "Sat, 21 Nov 2026 00:01:40 GMT"),
                ("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT"),
            ],
            10,
            10,
        ),
        (&[], 0, 0),
    ];

    for (given, of_one, of_all) in cases {
        for (terms, expected) in [(OWN, of_one), (SHARED, of_all)] {
            let (fresh, _) = entry(&[], 200, given, terms).lifetime(terms, T);
            assert_eq!(fresh.as_secs(), *expected, "{given:?} {terms:?}");
        }
    }
}

/// An entry that stays fresh for a minute, with further directives of its own.
fn fresh_for_a_minute(directives: &str, terms: Terms) -> Entry {
    let said = format!("max-age=60{directives}");
    let mut answer = answer(200, &[("etag", "\"1\"")]);
    let said = HeaderValue::try_from(said).unwrap();
    answer.headers_mut().insert(CACHE_CONTROL, said);
    Entry::of_answer(&asked(&[], terms), terms, answer, false, T)
}

#[test]
fn a_client_has_the_last_word_on_what_is_fresh_enough_unless_it_may_not() {
    let cases: &[(&str, u64, &'static str, Use)] = &[
        ("", 59, "", Use::Fresh),
        ("", 60, "", Use::Stale),
        ("", 1, "no-cache", Use::Refused),
        ("", 1, "No-Cache", Use::Refused),
        ("", 11, "max-age=10", Use::Refused),
        ("", 10, "max-age=10", Use::Fresh),
        ("", 1, "max-age=0", Use::Refused),
        ("", 31, "min-fresh=30", Use::Refused),
        ("", 30, "min-fresh=30", Use::Fresh),
        ("", 100, "max-stale", Use::Fresh),
        ("", 69, "max-stale=10", Use::Fresh),
        ("", 71, "max-stale=10", Use::Stale),
        ("", 61, "max-stale=x", Use::Stale),
        (", must-revalidate", 61, "max-stale", Use::Stale),
        (", no-cache", 1, "max-stale", Use::Stale),
        ("", 1, "no-store", Use::Fresh),
        (
            ", stale-while-revalidate=30",
            89,
            "",
            Use::WhileRevalidating,
        ),
        (", stale-while-revalidate=30", 90, "", Use::Stale),
        (", stale-while-revalidate=30", 61, "no-cache", Use::Stale),
        (
            ", stale-while-revalidate=30, must-revalidate",
            61,
            "",
            Use::Stale,
        ),
    ];

    for (said, seconds, wanted, expected) in cases {
        let entry = fresh_for_a_minute(said, OWN);
        let wants: Pairs = Box::leak(Box::new([("cache-control", *wanted)]));
        let found = entry.usable(&asked(wants, OWN), OWN, after(*seconds));
        assert_eq!(found, *expected, "{said:?} {wanted:?} after {seconds} s");
    }
    let terms = Terms {
        may_refresh: false,
        ..SHARED
    };
    for wanted in ["no-cache", "max-age=0", "min-fresh=1000"] {
        let wants: Pairs = Box::leak(Box::new([("cache-control", wanted)]));
        let entry = fresh_for_a_minute("", terms);
        assert_eq!(
            entry.usable(&asked(wants, terms), terms, after(1)),
            Use::Fresh
        );
    }
}

#[test]
fn a_shared_cache_gives_nothing_stale_that_is_meant_to_be_confirmed_there() {
    for said in [", s-maxage=60", ", proxy-revalidate"] {
        let said = format!("{said}, stale-while-revalidate=30, stale-if-error=30");
        let of = |terms| fresh_for_a_minute(&said, terms);
        let plain = |terms| asked(&[], terms);

        let found = of(SHARED).usable(&plain(SHARED), SHARED, after(61));
        assert_eq!(found, Use::Stale);
        assert!(!of(SHARED).stands_in(&plain(SHARED), SHARED, after(61)));
        let found = of(OWN).usable(&plain(OWN), OWN, after(61));
        assert_eq!(found, Use::WhileRevalidating);
        assert!(of(OWN).stands_in(&plain(OWN), OWN, after(61)));
    }
}

#[test]
fn an_entry_stands_in_for_a_failure_as_long_as_it_says() {
    let entry = fresh_for_a_minute(", stale-if-error=30", OWN);
    let plain = asked(&[], OWN);
    let demanding = asked(&[("cache-control", "no-cache")], OWN);

    assert!(entry.stands_in(&plain, OWN, after(89)));
    assert!(!entry.stands_in(&plain, OWN, after(90)));
    assert!(!entry.stands_in(&demanding, OWN, after(61)));
    assert!(!fresh_for_a_minute("", OWN).stands_in(&plain, OWN, after(61)));
}

#[test]
fn an_entry_is_for_requests_with_the_same_headers_that_vary_names() {
    let given: Pairs = &[
        ("cache-control", "max-age=60"),
        ("vary", "Accept-Language, X-Flag"),
    ];
    let entry = entry(
        &[("accept-language", "en"), ("accept", "a/b")],
        200,
        given,
        OWN,
    );
    let cases: &[(Pairs, Use)] = &[
        (&[("accept-language", "en")], Use::Fresh),
        (&[("accept-language", "en"), ("accept", "c/d")], Use::Fresh),
        (&[("accept-language", "de")], Use::OtherVariant),
        (&[], Use::OtherVariant),
        (
            &[("accept-language", "en"), ("x-flag", "")],
            Use::OtherVariant,
        ),
    ];

    for (request, expected) in cases {
        let found = entry.usable(&asked(request, OWN), OWN, after(1));
        assert_eq!(found, *expected, "{request:?}");
    }
}

#[test]
fn a_304_renews_the_entry_that_it_is_of() {
    let given: Pairs = &[
        ("cache-control", "max-age=60"),
        ("etag", "\"1\""),
        ("last-modified", OLD),
        ("age", "30"),
        ("content-type", "text/plain"),
        ("content-encoding", "x"),
    ];
    let old = entry(&[], 200, given, OWN);
    let cases: &[(Pairs, bool)] = &[
        (&[("etag", "\"1\"")], true),
        (&[("etag", "W/\"1\"")], true),
        (&[("etag", "\"2\"")], false),
        (&[("last-modified", OLD)], true),
        (&[], true),
    ];

    for (said, expected) in cases {
        let later = after(100);
        let renewed = old.revalidated(&asked(&[], OWN), OWN, &headers(said), false, later);
        assert_eq!(renewed.is_some(), *expected, "{said:?}");
        let Some(renewed) = renewed else { continue };
        assert_eq!(renewed.age(OWN, later), 0, "{said:?}");
        assert_eq!(renewed.ttl(OWN, later), 60, "{said:?}");
        assert_eq!(renewed.body, old.body);
        assert_eq!(renewed.upstream_status, StatusCode::NOT_MODIFIED);
    }
    let said = headers(&[
        ("cache-control", "max-age=5, x"),
        ("content-encoding", "y"),
        ("link", "<new>"),
    ]);
    let renewed = old
        .revalidated(&asked(&[], OWN), OWN, &said, false, after(9))
        .unwrap();
    assert_eq!(renewed.headers["cache-control"], "max-age=5, x");
    assert_eq!(renewed.headers["link"], "<new>");
    assert_eq!(renewed.headers["content-encoding"], "x");
    assert_eq!(renewed.headers["content-type"], "text/plain");
}

#[test]
fn an_entry_is_asked_about_with_what_tells_it_from_others() {
    let tagged = entry(
        &[],
        200,
        &[("etag", "W/\"1\""), ("last-modified", OLD)],
        OWN,
    );
    let dated = entry(&[], 200, &[("last-modified", OLD)], OWN);
    let plain = entry(&[], 200, &[("cache-control", "max-age=60")], OWN);

    assert_eq!(
        tagged.validators(OWN),
        headers(&[("if-none-match", "W/\"1\""), ("if-modified-since", OLD)])
    );
    assert_eq!(
        dated.validators(OWN),
        headers(&[("if-modified-since", OLD)])
    );
    assert_eq!(plain.validators(OWN), HeaderMap::new());
}

#[test]
fn an_entry_is_kept_as_long_as_it_can_be_of_use() {
    let seconds = Duration::from_secs;
    let cases: &[(Pairs, (Duration, Duration))] = &[
        (
            &[("cache-control", "max-age=60")],
            (seconds(60), Duration::ZERO),
        ),
        (
            &[("cache-control", "max-age=60"), ("etag", "\"1\"")],
            (seconds(60), seconds(24 * 60 * 60 - 60)),
        ),
        (
            &[(
                "cache-control",
                "max-age=60, stale-if-error=9, stale-while-revalidate=7",
            )],
            (seconds(60), seconds(9)),
        ),
        (
            &[(
                "cache-control",
                "max-age=60, stale-if-error=9, must-revalidate",
            )],
            (seconds(60), Duration::ZERO),
        ),
        (&[], (Duration::ZERO, Duration::ZERO)),
    ];

    for (given, expected) in cases {
        assert_eq!(
            entry(&[], 200, given, OWN).lifetime(OWN, T),
            *expected,
            "{given:?}"
        );
    }
}

#[test]
fn age_grows_with_time_and_what_is_over_has_less_than_none_left() {
    let entry = entry(
        &[],
        200,
        &[("cache-control", "max-age=60"), ("age", "20")],
        OWN,
    );

    let shown = [0, 39, 50].map(|seconds| {
        let now = after(seconds);
        (entry.age(OWN, now), entry.ttl(OWN, now))
    });

    assert_eq!(shown, [(20, 40), (59, 1), (70, -10)]);
}

#[test]
fn who_asks_while_an_answer_is_fetched_gets_it_if_it_is_fresh_and_meant_for_all_who_ask() {
    let fresh = fresh_for_a_minute("", OWN);
    let asked = asked(&[("cache-control", "no-cache")], OWN);
    let others: [Pairs; 4] = [
        &[("cache-control", "no-cache")],
        &[("cache-control", "no-store")],
        &[],
        &[("vary", "x-other"), ("cache-control", "max-age=0")],
    ];

    assert!(fresh.is_shareable_with(&asked, OWN, T));
    for given in others {
        let entry = entry(&[], 200, given, OWN);
        assert!(!entry.is_shareable_with(&asked, OWN, T), "{given:?}");
    }
}
