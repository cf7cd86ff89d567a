//! What an invocation did.

use serde::Serialize;
use turnpike_shared::ids::UserId;

/// What was done of the users of some shards.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Report {
    pub users: u64,
    /// Of these users, those that could not be settled.
    pub failed: u64,
    /// Periods of users that were closed by this invocation.
    pub periods_closed: u64,
    /// Of these periods, those that had a limit of the month for a part of the time alone: what was let in
    /// without one is in `recorded` and not in `charged`.
    pub partial: u64,
    /// Users whose periods stay open until Valkey answers again.
    pub deferred: u64,
    /// What admission counted in the periods that were closed.
    pub charged: u64,
    /// What is recorded of them.
    pub recorded: u64,
    /// What was counted and is not recorded: records that were lost with their instance, or that are
    /// still on their way.
    pub unrecorded: u64,
    pub overrides_dropped: u64,
    pub notices_raised: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardReport>,
}

/// How far the users of a shard were gone through.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ShardReport {
    pub shard: u8,
    /// Behind whom the next invocation goes on; none if there was time for everybody.
    pub goes_on_behind: Option<UserId>,
}

impl Report {
    /// Both in one.
    pub(crate) fn add(&mut self, other: Self) {
        let Self {
            users,
            failed,
            periods_closed,
            partial,
            deferred,
            charged,
            recorded,
            unrecorded,
            overrides_dropped,
            notices_raised,
            shards,
        } = other;
        self.users += users;
        self.failed += failed;
        self.periods_closed += periods_closed;
        self.partial += partial;
        self.deferred += deferred;
        self.charged += charged;
        self.recorded += recorded;
        self.unrecorded += unrecorded;
        self.overrides_dropped += overrides_dropped;
        self.notices_raised += notices_raised;
        self.shards.extend(shards);
    }
}
