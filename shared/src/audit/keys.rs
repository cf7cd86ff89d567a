//! What the audit log says of changes of API keys: ids, scopes, limits and times. A key's name is
//! its owner's text and its networks are addresses, so of these it says only that they changed.

use serde_json::Value;

use super::{Action, Actor, AuditEntry};
use crate::auth::{ApiKeyRecord, KeyChanges, KeyLimits, KeyManager, KeyRing, Scope, ScopeSet};
use crate::clock::Timestamp;

impl AuditEntry {
    /// The entry for `changes` of the keys in `ring`, of which only the keys in `written` are
    /// changed at once.
    pub fn of_keys(
        ring: &KeyRing,
        changes: &KeyChanges,
        written: &[ApiKeyRecord],
        manager: KeyManager,
        at: Timestamp,
    ) -> Self {
        let entry = match (&changes.made, written) {
            (Some(made), [old, ..]) => rotated(ring, old, made, at),
            (Some(made), []) => made_anew(ring, made, at),
            (None, [first, others @ ..]) if first.revoked_at.is_some() => {
                revoked(ring, changes, first, others, at)
            }
            (None, _) => changed(ring, &changes.outcome, at),
        };
        match manager {
            KeyManager::Session(session) => entry.with("by", session.to_string()),
            KeyManager::Key(key) => entry.with("by", key.to_string()),
        }
    }
}

fn entry(ring: &KeyRing, action: Action, key: &ApiKeyRecord, at: Timestamp) -> AuditEntry {
    AuditEntry::new(at, Actor::User(ring.owner()), action, key.id)
}

fn made_anew(ring: &KeyRing, made: &ApiKeyRecord, at: Timestamp) -> AuditEntry {
    let entry = entry(ring, Action::KeyMade, made, at).with("scopes", names(made.scopes));
    let entry = match limits(made.limits) {
        Value::Null => entry,
        limits => entry.with("limits", limits),
    };
    match made.expires_at {
        Some(expires_at) => entry.with("expires_at", expires_at.to_string()),
        None => entry,
    }
}

fn rotated(ring: &KeyRing, old: &ApiKeyRecord, made: &ApiKeyRecord, at: Timestamp) -> AuditEntry {
    let entry = entry(ring, Action::KeyRotated, old, at).with("to", made.id.to_string());
    match old.rotation {
        Some(rotation) => entry.with("live_until", rotation.live_until.to_string()),
        None => entry,
    }
}

/// Keys that go together are one entry: the first is its target.
fn revoked(
    ring: &KeyRing,
    changes: &KeyChanges,
    first: &ApiKeyRecord,
    others: &[ApiKeyRecord],
    at: Timestamp,
) -> AuditEntry {
    let mut entry = entry(ring, Action::KeyRevoked, first, at);
    if first.id != changes.outcome.id {
        entry = entry.with("made_by", changes.outcome.id.to_string());
    }
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(|key| key.id.to_string()).collect();
        entry = entry.with("with", others);
    }
    entry
}

fn changed(ring: &KeyRing, after: &ApiKeyRecord, at: Timestamp) -> AuditEntry {
    let mut entry = entry(ring, Action::KeyChanged, after, at);
    let Some(before) = ring.key(after.id) else {
        return entry;
    };
    let fields = [
        ("name", before.name != after.name),
        ("scopes", before.scopes != after.scopes),
        ("allowed_cidrs", before.allowed_cidrs != after.allowed_cidrs),
        ("limits", before.limits != after.limits),
    ];
    let changed = fields.iter().filter(|(_, changed)| *changed);
    let changed: Vec<&str> = changed.map(|(name, _)| *name).collect();
    if changed.contains(&"scopes") {
        entry = entry
            .with("scopes_before", names(before.scopes))
            .with("scopes", names(after.scopes));
    }
    if changed.contains(&"limits") {
        entry = entry
            .with("limits_before", limits(before.limits))
            .with("limits", limits(after.limits));
    }
    entry.with("changed", changed)
}

fn names(scopes: ScopeSet) -> Vec<&'static str> {
    scopes.iter().map(Scope::as_str).collect()
}

/// Limits as the API shows them; `null` for a key that has none.
fn limits(limits: KeyLimits) -> Value {
    if limits.is_none() {
        return Value::Null;
    }
    let KeyLimits { hour, day, month } = limits;
    serde_json::json!({"hour": hour, "day": day, "month": month})
}
