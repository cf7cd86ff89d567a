//! Which limits a request must keep: from its tier, its class, its key, its address and, at
//! sign-in, the e-mail address.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::policy::{ClassLimit, ClassPolicy, Mode, Per, Policy, Rate};
use super::{Check, Source, Subject, Window, WindowId};
use crate::auth::one_time_token::sha256_base64;
use crate::auth::{Allowance, ApiKeyRecord, EmailKey, Principal};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// A limit of a user's tier, or what an admin gave instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TierLimit {
    pub name: &'static str,
    /// `None` is unlimited.
    pub limit: Option<u64>,
    pub source: Source,
}

impl TierLimit {
    pub fn window(&self) -> Window {
        calendar_window(self.name).1
    }
}

/// The hour, the day and the month of a user.
pub fn tier_limits(policy: &Policy, user: &Principal, now: Timestamp) -> [TierLimit; 3] {
    let tier = policy.tier(user.tier.as_str());
    let lifted = user.quota_override.filter(|lifted| lifted.is_in_force(now));
    let limit = |name, own: Option<u64>, lifted: Option<Allowance>| {
        let (limit, source) = match lifted {
            Some(Allowance(limit)) => (limit, Source::Override),
            None => (own, Source::Tier),
        };
        TierLimit {
            name,
            limit,
            source,
        }
    };
    [
        limit("hour", tier.hour, lifted.and_then(|lifted| lifted.hour)),
        limit("day", tier.day, lifted.and_then(|lifted| lifted.day)),
        limit("month", tier.month, lifted.and_then(|lifted| lifted.month)),
    ]
}

/// A user's month, without a request, unless it is unlimited.
pub fn month_of(policy: &Policy, user: &Principal, now: Timestamp) -> Option<Check> {
    tier_checks(policy, user, 0, now).find(|check| check.window == Window::Month)
}

/// The limits that a user's request of `class` must keep, made with `key` if that is given.
pub fn of_user(
    policy: &Policy,
    user: &Principal,
    key: Option<&ApiKeyRecord>,
    class: &str,
    cost: u64,
    now: Timestamp,
) -> Vec<Check> {
    let of_class = user_checks_of_class(policy.class(class), cost);
    let of_key = key.into_iter().flat_map(|key| key_checks(key, cost));
    let checks = tier_checks(policy, user, cost, now).chain(of_class);
    checks.chain(of_key).collect()
}

/// Every limit that a user's requests can meet, of whatever class, without a request.
pub fn of_all_classes(
    policy: &Policy,
    user: &Principal,
    key: Option<&ApiKeyRecord>,
    now: Timestamp,
) -> Vec<Check> {
    let of_classes = policy
        .classes()
        .flat_map(|(_, class)| user_checks_of_class(class, 0));
    let of_key = key.into_iter().flat_map(|key| key_checks(key, 0));
    let checks = tier_checks(policy, user, 0, now).chain(of_classes);
    checks.chain(of_key).collect()
}

fn tier_checks(
    policy: &Policy,
    user: &Principal,
    cost: u64,
    now: Timestamp,
) -> impl Iterator<Item = Check> {
    let limits = tier_limits(policy, user, now).into_iter();
    limits.filter_map(move |tier| {
        let limit = tier.limit?;
        Some(calendar_check(tier.name, limit, tier.source, cost))
    })
}

fn user_checks_of_class(class: &ClassPolicy, cost: u64) -> impl Iterator<Item = Check> {
    let of_users = class.limits.iter().filter(|limit| limit.per == Per::User);
    of_users.map(move |limit| class_check(limit, class.mode, cost))
}

/// The limit that a caller asks about for a purpose of its own, and whose it is: the caller's,
/// the namespace's and the identifier's, each length of window apart.
pub fn of_caller(
    caller: UserId,
    namespace: &str,
    identifier: &str,
    rate: Rate,
    cost: u64,
) -> (Subject, Check) {
    let Rate {
        limit,
        window_seconds: seconds,
    } = rate;
    // A namespace has no colon, so no two subjects have one text.
    let named = format!("{caller}:{namespace}:{seconds}:{identifier}");
    let subject = Subject::Other(format!("CHECK#{}", sha256_base64(named.as_bytes())));
    let check = Check {
        name: Cow::Borrowed("check"),
        id: WindowId::named("check", seconds),
        limit,
        window: Window::Sliding { seconds },
        cost,
        source: Source::Class,
        mode: Mode::Enforce,
    };
    (subject, check)
}

/// The limits of whoever has no credential, or a bad one.
pub fn of_anonymous(policy: &Policy) -> Vec<Check> {
    let tier = policy.anonymous();
    let check =
        |name, limit: Option<u64>| limit.map(|limit| calendar_check(name, limit, Source::Tier, 1));
    let checks = [
        check("hour", tier.hour),
        check("day", tier.day),
        check("month", tier.month),
    ];
    checks.into_iter().flatten().collect()
}

/// The limits of an address at the routes of an open class.
pub fn of_open_class(policy: &Policy, class: &str) -> Vec<Check> {
    let class = policy.class(class);
    let per_address = class.limits.iter().filter(|limit| limit.per == Per::Ip);
    per_address
        .map(|limit| class_check(limit, class.mode, 1))
        .collect()
}

/// The limits of failed passwords, each with its subject.
pub fn of_failed_passwords(policy: &Policy, email: &EmailKey, ip: IpAddr) -> Vec<(Subject, Check)> {
    let class = policy.class("auth");
    let digest = sha256_base64(email.as_str().as_bytes());
    let with_subject = |limit: &ClassLimit| {
        let subject = match limit.per {
            Per::Email => format!("EMAIL#{digest}"),
            Per::EmailAndIp => format!("EMAIL#{digest}#{}", network_of(ip)),
            Per::User | Per::Ip => return None,
        };
        Some((Subject::Other(subject), class_check(limit, class.mode, 1)))
    };
    let mut limits: Vec<_> = class.limits.iter().filter_map(with_subject).collect();
    // Limits of one subject are asked about together, those of the address first: who is refused
    // by them has used up nothing of the e-mail's.
    limits.sort_by_key(|(subject, _)| std::cmp::Reverse(subject.to_string()));
    limits
}

/// The subject of an address. An IPv6 address counts as its /64, which one customer has as a rule
/// (RFC 6177).
pub fn subject_of_ip(ip: IpAddr) -> Subject {
    Subject::Other(format!("IP#{}", network_of(ip)))
}

/// The subject of an address at the routes of an open class: apart from what it may send without
/// a credential, so that each is always asked about with the same windows.
pub fn subject_of_open_class(ip: IpAddr, class: &str) -> Subject {
    Subject::Other(format!("IP#{}#{class}", network_of(ip)))
}

fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

fn calendar_check(name: &'static str, limit: u64, source: Source, cost: u64) -> Check {
    let (id, window) = calendar_window(name);
    Check {
        name: Cow::Borrowed(name),
        id,
        limit,
        window,
        cost,
        source,
        mode: Mode::Enforce,
    }
}

fn calendar_window(name: &str) -> (WindowId, Window) {
    match name {
        "hour" => (WindowId::HOUR, Window::HOUR),
        "day" => (WindowId::DAY, Window::DAY),
        _ => (WindowId::MONTH, Window::Month),
    }
}

fn class_check(limit: &ClassLimit, mode: Mode, cost: u64) -> Check {
    let seconds = limit.rate.window_seconds;
    Check {
        name: Cow::Owned(limit.name.clone()),
        id: WindowId::named(&limit.name, seconds),
        limit: limit.rate.limit,
        window: Window::Sliding { seconds },
        cost,
        source: Source::Class,
        mode,
    }
}

/// The limits of a key's own, which only a key with a slot has.
fn key_checks(key: &ApiKeyRecord, cost: u64) -> impl Iterator<Item = Check> {
    let slot = key.limit_slot;
    let own = [
        ("key-hour", Window::HOUR, key.limits.hour),
        ("key-day", Window::DAY, key.limits.day),
        ("key-month", Window::Month, key.limits.month),
    ];
    own.into_iter().filter_map(move |(name, window, limit)| {
        Some(Check {
            name: Cow::Borrowed(name),
            id: WindowId::of_key(slot?.number(), window),
            limit: limit?,
            window,
            cost,
            source: Source::Key,
            mode: Mode::Enforce,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{QuotaOverride, Role, Tier};

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn user(tier: Tier) -> Principal {
        Principal {
            id: UserId::new(T),
            tier,
            roles: vec![Role::User],
            is_verified: true,
            quota_override: None,
            epoch: 1,
        }
    }

    fn shown(checks: &[Check]) -> Vec<(&str, u64, Source)> {
        let of = |check: &'_ Check| (check.limit, check.source);
        checks
            .iter()
            .map(|check| (check.name.as_ref(), of(check).0, of(check).1))
            .collect()
    }

    #[test]
    fn a_free_user_keeps_the_tiers_limits_and_the_classs() {
        let checks = of_user(
            &Policy::built_in(),
            &user(Tier::free()),
            None,
            "query",
            1,
            T,
        );

        assert_eq!(
            shown(&checks),
            [
                ("hour", 100, Source::Tier),
                ("day", 1_000, Source::Tier),
                ("month", 20_000, Source::Tier),
                ("query", 20, Source::Class),
            ]
        );
    }

    #[test]
    fn what_is_unlimited_is_no_check() {
        let enterprise = user(Tier::enterprise());

        assert_eq!(
            of_user(&Policy::built_in(), &enterprise, None, "default", 1, T),
            []
        );
    }

    #[test]
    fn all_limits_of_a_user_are_the_tiers_and_those_of_every_class_that_counts_users() {
        let checks = of_all_classes(&Policy::built_in(), &user(Tier::free()), None, T);

        let names: Vec<&str> = checks.iter().map(|check| check.name.as_ref()).collect();
        assert_eq!(
            names,
            [
                "hour",
                "day",
                "month",
                "admin",
                "dataset_ops",
                "query",
                "upload"
            ]
        );
        assert!(checks.iter().all(|check| check.cost == 0));
    }

    #[test]
    fn callers_namespaces_identifiers_and_windows_are_counted_apart() {
        let caller = UserId::new(T);
        let rate = |limit, window_seconds| Rate {
            limit,
            window_seconds,
        };
        let subject = |caller, namespace, identifier, rate| {
            of_caller(caller, namespace, identifier, rate, 1).0
        };
        let one = subject(caller, "mail", "a", rate(5, 60));

        assert_eq!(subject(caller, "mail", "a", rate(9, 60)), one);
        let others = [
            subject(UserId::new(T), "mail", "a", rate(5, 60)),
            subject(caller, "mails", "a", rate(5, 60)),
            subject(caller, "mail", "b", rate(5, 60)),
            subject(caller, "mail", "a", rate(5, 61)),
            subject(caller, "mail", "1:a", rate(5, 60)),
        ];
        for other in others {
            assert_ne!(other, one);
        }
    }

    #[test]
    fn an_override_replaces_what_it_names_until_it_expires() {
        let lifted = QuotaOverride {
            hour: Some(Allowance(Some(7))),
            day: Some(Allowance(None)),
            month: None,
            expires_at: Some(T.millis() + 1),
        };
        let user = Principal {
            quota_override: Some(lifted),
            ..user(Tier::free())
        };
        let policy = Policy::built_in();

        let now = of_user(&policy, &user, None, "default", 1, T);
        let later = of_user(
            &policy,
            &user,
            None,
            "default",
            1,
            Timestamp::from_millis(T.millis() + 1),
        );

        assert_eq!(
            shown(&now),
            [
                ("hour", 7, Source::Override),
                ("month", 20_000, Source::Tier)
            ]
        );
        assert_eq!(shown(&later)[0], ("hour", 100, Source::Tier));
    }

    #[test]
    fn an_ipv6_address_counts_as_its_network_and_a_mapped_one_as_ipv4() {
        let subject = |ip: &str| subject_of_ip(ip.parse().unwrap());

        assert_eq!(subject("2001:db8:1:2::1"), subject("2001:db8:1:2:ffff::9"));
        assert_ne!(subject("2001:db8:1:2::1"), subject("2001:db8:1:3::1"));
        assert_eq!(subject("::ffff:192.0.2.7"), subject("192.0.2.7"));
    }
}
