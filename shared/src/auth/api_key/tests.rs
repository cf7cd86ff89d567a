//! That a key is what the contract says, to the character, and that nothing else is taken for one.

use proptest::prelude::*;

use super::*;

/// Bodies with their checksums, and the digests of the live keys that they make; computed apart
/// from this code, with zlib's CRC-32 and Python's integers.
const VECTORS: [(&str, &str, &str); 6] = [
    (
        "00000000000000000000000000000000",
        "2wjyrI",
        "g2E189xBvMSpf963VbcTAlIWbfwZEvFUmdhs5WGVX44",
    ),
    (
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "4W8LJS",
        "GUOZxl3xi3YBtxGAM5_CTQclKgOZAb85w01Lr7vhnN4",
    ),
    (
        "0123456789ABCDEFGHIJKLMNOPQRSTUV",
        "1ggZdL",
        "rlRAR8PEWwkmbxXFTvEU6IxgG5kkqHv73g17w1hUiZg",
    ),
    (
        "UVWXYZabcdefghijklmnopqrstuvwxyz",
        "3nLJyP",
        "EwmbVU_iORqLGf5ra564F4N3XkzqU1hsh56RRhWwrnQ",
    ),
    (
        "Turnpike0Turnpike1Turnpike2Turnp",
        "2qhKPa",
        "JWHVDrGB6k7TR2ayRZNUmDO-f3eX1W28aW-KRtPo3j8",
    ),
    // A checksum of 2,460, which is padded.
    (
        "AAAAAAAAAAAAAAAAAAAAAA0001408718",
        "0000dg",
        "mOq7y16mAXiAvM81tGFcgAh9ZuP9tyjOWPoy-WLJUTk",
    ),
];

fn parse(text: &str) -> Result<ApiKey, InvalidApiKey> {
    ApiKey::parse(&text.into())
}

#[test]
fn keys_have_the_checksums_and_digests_that_others_compute() {
    for (body, checksum, digest) in VECTORS {
        let key = parse(&format!("tp_live_{body}{checksum}")).unwrap();

        assert_eq!(key.digest().to_string(), digest, "{body}");
        assert_eq!(key.prefix(), format!("tp_live_{}", &body[..4]));
    }
}

#[test]
fn a_new_key_has_the_form_that_scanners_look_for_and_is_taken() {
    for kind in [KeyKind::Live, KeyKind::Test] {
        for _ in 0..500 {
            let key = ApiKey::generate(kind);

            let rest = key.expose().strip_prefix(kind.prefix()).unwrap();
            assert_eq!(rest.len(), 38);
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!((b'0'..=b'4').contains(&rest.as_bytes()[32]));
            let read = parse(key.expose()).unwrap();
            assert_eq!((read.kind(), read.digest()), (kind, key.digest()));
        }
    }
}

#[test]
fn no_two_keys_are_alike_and_of_one_body_the_kinds_differ() {
    let (live, test) = (
        parse("tp_live_000000000000000000000000000000002wjyrI").unwrap(),
        parse("tp_test_000000000000000000000000000000002wjyrI").unwrap(),
    );

    assert_ne!(live.digest(), test.digest());
    let (one, another) = (
        ApiKey::generate(KeyKind::Live),
        ApiKey::generate(KeyKind::Live),
    );
    assert_ne!(one.digest(), another.digest());
}

#[test]
fn bytes_that_would_favour_some_characters_are_passed_over() {
    let mut blocks = (0_u8..).map(|block| {
        let mut bytes = [255; 64];
        for (at, byte) in (0_u8..).zip(&mut bytes[..20]) {
            *byte = if at < 8 { 248 + at } else { block * 100 + at };
        }
        bytes
    });

    let key = ApiKey::from_random(KeyKind::Test, || blocks.next().unwrap());

    // 12 bytes of each block count: 8 to 19, 108 to 119, and 8 of 208 to 219.
    assert_eq!(&key.expose()[8..40], "89ABCDEFGHIJklmnopqrstuvMNOPQRST");
}

#[test]
fn every_character_is_as_likely_as_any_other() {
    let mut bytes = 0_u8..=247;
    let mut counts = [0_u32; 62];
    for byte in bytes.by_ref() {
        let key = ApiKey::from_random(KeyKind::Test, || [byte; 64]);
        let at = BASE62
            .iter()
            .position(|digit| *digit == key.expose().as_bytes()[8]);
        counts[at.unwrap()] += 1;
    }

    assert_eq!(counts, [4; 62]);
}

#[test]
fn what_does_not_look_like_a_key_is_refused() {
    let good = "tp_live_0123456789ABCDEFGHIJKLMNOPQRSTUV1ggZdL";
    let cases = [
        String::new(),
        "tp_live_".into(),
        good.replace("live", "LIVE"),
        good.replace("tp_live", "tp_prod"),
        good.replace("tp_live_", "sk_live_"),
        good.replace("1ggZdL", "1ggZdM"),
        // The right checksum, not padded or not in base62.
        good.replace("1ggZdL", "154688"),
        good.replace("0123", "3210"),
        good.replace("UV", "U-"),
        // The right checksums of what is not in base62.
        good.replace("UV1ggZdL", "U-2r03Bn"),
        good.replace("UV1ggZdL", "é1ZpegE"),
        good.replace("UV", "é"),
        good.replace("tp_live_0", "tp_live_é"),
        good.replace("tp_live_0", "tp_live\u{1f600}"),
        good[..45].into(),
        format!("{good}0"),
        format!(" {good}"),
        "x".repeat(20_000),
    ];

    assert!(parse(good).is_ok());
    for case in cases {
        assert_eq!(parse(&case).err(), Some(InvalidApiKey), "{case:?}");
    }
}

#[test]
fn a_key_is_not_told_by_its_debug_output() {
    let key = ApiKey::generate(KeyKind::Live);

    let shown = format!("{key:?}");

    assert!(!shown.contains(&key.expose()[8..12]), "{shown}");
}

#[test]
fn a_digest_reads_back_from_its_text_and_nothing_else_is_one() {
    let digest = ApiKey::generate(KeyKind::Live).digest();
    let text = digest.to_string();

    assert_eq!(text.parse(), Ok(digest));
    for bad in ["", &text[..42], &format!("{text}="), &format!("{text}A")] {
        assert_eq!(bad.parse::<KeyDigest>(), Err(InvalidKeyDigest), "{bad:?}");
    }
}

#[test]
fn operators_are_shown_the_pattern_that_is_tested_here() {
    let page = include_str!("../../../../docs/security.md");

    assert!(page.contains(LEAKED_KEY_PATTERN));
}

proptest! {
    #[test]
    fn what_scanners_look_for_is_a_key_but_for_its_checksum(found in LEAKED_KEY_PATTERN) {
        let (body, _) = found.split_at(40);
        let checksum = checksum(&body.as_bytes()[8..]);
        let key = format!("{body}{}", std::str::from_utf8(&checksum).unwrap());

        prop_assert!(parse(&key).is_ok());
    }

    #[test]
    fn a_key_altered_in_any_character_is_refused(at in 0_usize..46, to in "[ -~]") {
        let key = ApiKey::generate(KeyKind::Live);
        let mut altered = key.expose().to_owned();
        altered.replace_range(at..=at, &to);
        prop_assume!(altered != key.expose());

        prop_assert!(parse(&altered).is_err());
    }

    #[test]
    fn a_key_with_two_neighbours_swapped_is_refused(at in 0_usize..45) {
        let key = ApiKey::generate(KeyKind::Test);
        let mut swapped = key.expose().as_bytes().to_vec();
        swapped.swap(at, at + 1);
        let swapped = String::from_utf8(swapped).unwrap();
        prop_assume!(swapped != key.expose());

        prop_assert!(parse(&swapped).is_err());
    }

    #[test]
    fn any_text_at_all_is_refused_without_a_panic(text in ".{0,60}") {
        prop_assert!(parse(&text).is_err());
    }
}
