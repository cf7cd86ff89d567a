//! What a request is counted in: which limits it has to keep, and what its record says of it.

use std::net::IpAddr;

use super::Caller;
use super::ladder::CountedBy;
use super::request::{LetIn, notes};
use crate::auth::{Principal, Scope};
use crate::clock::Timestamp;
use crate::limits::policy::{OnOutage, Policy};
use crate::limits::{Check, plan};
use crate::usage::UsageCaller;

/// What a caller's request is counted in.
#[derive(Clone, Copy)]
pub(super) enum Counted<'a> {
    InClass {
        class: &'a str,
        cost: u64,
    },
    /// As `InClass`, unless the caller may not do it at all: then in nothing.
    IfPermitted {
        class: &'a str,
        cost: u64,
        scope: Scope,
        ip: IpAddr,
    },
    /// In nothing; whether the credential is good is asked all the same.
    Nowhere,
}

impl Counted<'_> {
    /// What it is for a caller, as far as that caller is known.
    pub(super) fn of(self, caller: &Caller) -> Self {
        let Self::IfPermitted {
            class,
            cost,
            scope,
            ip,
        } = self
        else {
            return self;
        };
        let is_allowed_from = caller.key().is_none_or(|key| key.allows(ip));
        if is_allowed_from && caller.scopes().contains(scope) {
            Self::InClass { class, cost }
        } else {
            Self::Nowhere
        }
    }

    pub(super) fn checks(self, policy: &Policy, caller: &Caller, now: Timestamp) -> Vec<Check> {
        match self {
            Self::InClass { class, cost } | Self::IfPermitted { class, cost, .. } => {
                let (user, key) = (&caller.principal, caller.key());
                plan::of_user(policy, user, key, class, cost, now)
            }
            Self::Nowhere => vec![],
        }
    }

    /// Notes a request that was let in, for the record of it.
    pub(super) fn note(self, principal: &Principal, by: CountedBy) {
        if let Self::InClass { cost, .. } = self {
            note_let_in(Some(principal), cost, by);
        }
    }

    pub(super) fn on_outage(self, policy: &Policy) -> OnOutage {
        match self {
            Self::InClass { class, .. } | Self::IfPermitted { class, .. } => {
                policy.class(class).on_outage
            }
            Self::Nowhere => OnOutage::Open,
        }
    }
}

/// Notes a request that was let in, and what it was charged.
pub(super) fn note_let_in(principal: Option<&Principal>, cost: u64, by: CountedBy) {
    let charged = match by {
        CountedBy::Valkey | CountedBy::DynamoDb => u32::try_from(cost).unwrap_or(u32::MAX),
        CountedBy::NoStore => 0,
    };
    let caller = principal.map(|principal| UsageCaller {
        user: principal.id,
        tier: principal.tier.clone(),
    });
    notes::let_in(LetIn { caller, charged });
}
