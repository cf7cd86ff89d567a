//! Which limits a request must keep: from its tier, its class, its key, its address and, at
//! sign-in, the e-mail address.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::policy::{ClassLimit, Mode, Per, Policy};
use super::{Check, Source, Subject, Window, WindowId};
use crate::auth::one_time_token::sha256_base64;
use crate::auth::{Allowance, ApiKeyRecord, EmailKey, Principal};
use crate::clock::Timestamp;

/// The limits that a user's request of `class` must keep, made with `key` if that is given.
pub fn of_user(
    policy: &Policy,
    user: &Principal,
    key: Option<&ApiKeyRecord>,
    class: &str,
    cost: u64,
    now: Timestamp,
) -> Vec<Check> {
    let tier = policy.tier(user.tier.as_str());
    let lifted = user.quota_override.filter(|lifted| lifted.is_in_force(now));
    let tiered = |name: &'static str, own: Option<u64>, lifted: Option<Allowance>| {
        let (limit, source) = match lifted {
            Some(Allowance(limit)) => (limit, Source::Override),
            None => (own, Source::Tier),
        };
        limit.map(|limit| calendar_check(name, limit, source, cost))
    };
    let tiered = [
        tiered("hour", tier.hour, lifted.and_then(|lifted| lifted.hour)),
        tiered("day", tier.day, lifted.and_then(|lifted| lifted.day)),
        tiered("month", tier.month, lifted.and_then(|lifted| lifted.month)),
    ];
    let class = policy.class(class);
    let of_class = class
        .limits
        .iter()
        .filter(|limit| limit.per == Per::User)
        .map(|limit| class_check(limit, class.mode, cost));
    let of_key = key.into_iter().flat_map(|key| key_checks(key, cost));
    let checks = tiered.into_iter().flatten();
    checks.chain(of_class).chain(of_key).collect()
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
    class.limits.iter().filter_map(with_subject).collect()
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
    let (id, window) = match name {
        "hour" => (WindowId::HOUR, Window::HOUR),
        "day" => (WindowId::DAY, Window::DAY),
        _ => (WindowId::MONTH, Window::Month),
    };
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
    use crate::ids::UserId;

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
