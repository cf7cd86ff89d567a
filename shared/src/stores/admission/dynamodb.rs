//! The engine on DynamoDB: one conditional update of the subject's one item.
//!
//! The condition says that the credential is valid, that the windows are where the caller believes
//! them to be, and that every limit is open; the update counts in all of them. When it does not
//! hold, the same answer carries the item, so that a refusal is known at once and a window that
//! has moved is known for the next try. Time is the caller's clock.
//!
//! Only the newest bucket of a window is counted in. Moving on to the next one makes it the
//! previous bucket (`SET q = n, n = :cost`), whatever others counted in it meanwhile, and packs
//! the one before that, which is final. So nobody's count can be lost in a race, and of all who
//! come to the edge of a bucket at once one moves it and the others count on their next try.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use backon::{ExponentialBuilder, Retryable};
use moka::sync::Cache;

use super::EngineError;
use super::expression::Expression;
use super::pending::PendingRemovals;
use super::windows::{Windows, attribute, counter_of, number_of, past, windows_of};
use crate::clock::Timestamp;
use crate::limits::policy::Mode;
use crate::limits::{Ask, Check, Counter, Proof, Reading, Subject, Verdict, WindowId, counted};
use crate::stores::tables::admission::{
    ACTIVE, ADMISSION_SK, EPOCH, LIVE, RESETS, StandingItem, subject_pk,
};
use crate::stores::tables::{PK, SK};
use crate::stores::{DynamoDb, Item, Standing, StoreError, from_item, number, text};

/// Tries of one decision: one while the view is current, two when a bucket has passed, three when
/// others moved it meanwhile.
pub(super) const MAX_TRIES: usize = 3;
/// Subjects whose windows an instance remembers.
const MAX_VIEWS: u64 = 10_000;
/// How long the item of a subject that is no user stays when its longest window has nothing left to
/// remember: callers' clocks differ, and DynamoDB's sweep is not to come first.
const RETENTION: Duration = Duration::from_hours(1);
/// How long after a lease without an answer no more is leased than is lacking: what was taken may
/// be lost, and is not to be lost a hundred at a time.
const UNSURE_FOR: Duration = Duration::from_mins(1);
/// How often an update waits for transactions on its item, and how long each time.
const MAX_CONFLICTS: usize = 8;
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);
/// Windows out of use that one request clears away on its way.
const MAX_CLEARED: usize = 2;

/// Codes with which DynamoDB says that one key gets more than its share (Developer Guide,
/// "Throttling diagnosis").
const THROTTLED: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
];

/// The windows of every subject in the admission table.
#[derive(Clone)]
pub struct DynamoDbEngine {
    client: Client,
    table: String,
    views: Cache<Subject, Arc<Mutex<Windows>>>,
    /// Subjects of whom a lease may have been taken without an answer.
    unsure: Cache<Subject, ()>,
    budget: Duration,
}

/// What came of asking for a part of a month's limit. `total` is now taken from the month in all,
/// and `bucket` says which month that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lease {
    /// This much may be spent.
    Granted { block: u64, total: u64, bucket: i64 },
    /// Not even what was lacking is left.
    Exhausted { total: u64, bucket: i64 },
}

impl Lease {
    fn exhausted(reading: &Reading) -> Self {
        Self::Exhausted {
            total: reading.used,
            bucket: reading.bucket,
        }
    }
}

/// What a try came to.
pub(super) enum Tried {
    Counted(Item),
    /// The condition did not hold; this is the item as it stands.
    NotSo(Item),
}

/// Why an update came to nothing.
enum NotSent {
    /// A transaction is changing the item at this moment.
    InConflict,
    Failed(EngineError),
}

impl DynamoDbEngine {
    /// An engine whose calls are given up after `budget`, without a second try by the SDK: an
    /// ambiguous call may count twice, never not at all.
    pub fn new(dynamodb: &DynamoDb, table: String, budget: Duration) -> Self {
        Self {
            client: dynamodb.within(budget).client(),
            table,
            views: Cache::builder().max_capacity(MAX_VIEWS).build(),
            unsure: Cache::builder()
                .max_capacity(MAX_VIEWS)
                .time_to_live(UNSURE_FOR)
                .build(),
            budget,
        }
    }

    /// Decides, and counts if everything is open.
    pub async fn decide(&self, ask: &Ask<'_>) -> Result<Verdict, EngineError> {
        if ask.checks.is_empty() {
            return match ask.proof {
                Some(proof) => self.verify(ask.subject, proof).await,
                None => Ok(Verdict::Admitted(vec![])),
            };
        }
        if ask.checks.iter().any(never_fits) {
            return self.refuse(ask).await;
        }
        let mut view = self.view_of(ask.subject);
        for _ in 0..MAX_TRIES {
            let plan = Plan::new(ask, &view);
            let (buckets, cleared) = (plan.buckets, plan.cleared);
            match self.try_update(ask.subject, plan.expression).await? {
                Tried::Counted(changed) => {
                    self.remember_counted(ask, &view, &changed, &cleared);
                    return Ok(Verdict::Admitted(admitted(ask, &buckets, &changed)));
                }
                Tried::NotSo(item) => {
                    let windows = windows_of(&item);
                    self.remember(ask.subject, windows.clone());
                    if let Some(proof) = ask.proof
                        && let Some(verdict) = objection(&item, proof)
                    {
                        // Who asks again with what is current finds the windows known.
                        return Ok(verdict);
                    }
                    let readings = readings(ask, &windows);
                    let is_refused = |(check, reading)| Check::refuses(check, reading);
                    if ask.checks.iter().zip(&readings).any(is_refused) {
                        return Ok(Verdict::Refused(readings));
                    }
                    // What others remember meanwhile may be older.
                    view = windows;
                }
            }
        }
        Err(EngineError::Throttled)
    }

    /// How the checks stand, without counting.
    pub async fn look(
        &self,
        subject: &Subject,
        checks: &[Check],
        now: Timestamp,
    ) -> Result<Vec<Reading>, EngineError> {
        let (readings, _) = self.look_at_reset(subject, checks, now).await?;
        Ok(readings)
    }

    /// As [`Self::look`], with how often the windows were reset.
    pub(super) async fn look_at_reset(
        &self,
        subject: &Subject,
        checks: &[Check],
        now: Timestamp,
    ) -> Result<(Vec<Reading>, u64), EngineError> {
        let item = self.item(subject).await?;
        let windows = windows_of(&item);
        let ask = Ask {
            subject,
            proof: None,
            checks,
            now,
        };
        let readings = readings(&ask, &windows);
        self.remember(subject, windows);
        let resets = item.get(RESETS).and_then(number_of);
        Ok((readings, resets.unwrap_or(0)))
    }

    /// The word left about copies that Valkey still holds.
    pub(super) fn pending_removals(&self) -> PendingRemovals {
        PendingRemovals::new(self.client.clone(), self.table.clone())
    }

    /// The standing of the subject, if it has one.
    pub(super) async fn standing(
        &self,
        subject: &Subject,
    ) -> Result<Option<Standing>, EngineError> {
        let item = self.item(subject).await?;
        Ok(from_item::<StandingItem>(item).ok().map(Standing::from))
    }

    /// Takes back what was counted for the checks, where the readings say it was, as far as it can
    /// still be taken back.
    pub async fn refund(
        &self,
        subject: &Subject,
        counted: &[(Check, Reading)],
    ) -> Result<(), EngineError> {
        for attempt in 0..MAX_TRIES {
            let mut view = self.view_of(subject);
            // A view in which that bucket has not begun is of a time before the request.
            let is_known = |(check, reading): &(Check, Reading)| {
                view.get(&check.id)
                    .is_some_and(|counter| counter.newest.0 >= reading.bucket)
            };
            if attempt > 0 || !counted.iter().all(is_known) {
                view = windows_of(&self.item(subject).await?);
                self.remember(subject, view.clone());
            }
            let expression = refund_of(counted, &view);
            if expression.changes_nothing() {
                return Ok(());
            }
            if let Tried::Counted(_) = self.try_update(subject, expression).await? {
                // Of a newest bucket nothing is taken for granted but that it is the newest. What
                // comes before it is part of the next condition.
                let is_newest = |(check, reading): &(Check, Reading)| {
                    let kept = view.get(&check.id);
                    kept.is_none_or(|kept| kept.newest.0 == reading.bucket)
                };
                if !counted.iter().all(is_newest) {
                    self.views.invalidate(subject);
                }
                return Ok(());
            }
        }
        Err(EngineError::Throttled)
    }

    /// Takes a block of a month's limit that another engine may spend: what `check` costs or 1 % of
    /// what remains, at most 100, whichever is more; and no less than the check is `lacking`.
    pub async fn lease(
        &self,
        subject: &Subject,
        check: &Check,
        lacking: u64,
        now: Timestamp,
    ) -> Result<Lease, EngineError> {
        let mut view = self.view_of(subject);
        for _ in 0..MAX_TRIES {
            let counter = view.get(&check.id);
            let reading = Counter::read(counter, check.window, check.limit, lacking, now);
            let remaining = check.limit.saturating_sub(reading.used);
            let hundredth = remaining.min(10_000) / 100;
            let block = if self.unsure.contains_key(subject) {
                lacking
            } else {
                check.cost.max(hundredth).min(remaining).max(lacking)
            };
            let taken = Check {
                cost: block,
                ..check.clone()
            };
            if never_fits(&taken) {
                return Ok(Lease::exhausted(&reading));
            }
            let ask = Ask {
                subject,
                proof: None,
                checks: std::slice::from_ref(&taken),
                now,
            };
            let plan = Plan::new(&ask, &view);
            let tried = self.try_update(subject, plan.expression).await;
            if tried.is_err() {
                self.unsure.insert(subject.clone(), ());
            }
            match tried? {
                Tried::Counted(changed) => {
                    self.remember_counted(&ask, &view, &changed, &plan.cleared);
                    return Ok(Lease::Granted {
                        block,
                        total: sum_of(&changed, &check.id).unwrap_or(block),
                        bucket: reading.bucket,
                    });
                }
                Tried::NotSo(item) => {
                    let windows = windows_of(&item);
                    let counter = windows.get(&check.id);
                    let reading = Counter::read(counter, check.window, check.limit, lacking, now);
                    self.remember(subject, windows.clone());
                    if check.refuses(&reading) {
                        return Ok(Lease::exhausted(&reading));
                    }
                    view = windows;
                }
            }
        }
        Err(EngineError::Throttled)
    }

    /// The subject's whole item, consistently.
    pub(super) async fn item(&self, subject: &Subject) -> Result<Item, EngineError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(PK, text(subject_pk(subject)))
            .key(SK, text(ADMISSION_SK))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| of_sdk("GetItem", error))?;
        Ok(answer.item.unwrap_or_default())
    }

    /// For callers without limits: whether the credential is valid, by a read alone.
    async fn verify(&self, subject: &Subject, proof: Proof) -> Result<Verdict, EngineError> {
        let item = self.item(subject).await?;
        Ok(objection(&item, proof).unwrap_or(Verdict::Admitted(vec![])))
    }

    /// For a request that costs more than a limit allows at all: how it stands, by a read alone. A
    /// window that is empty has nothing that a condition could look at.
    async fn refuse(&self, ask: &Ask<'_>) -> Result<Verdict, EngineError> {
        let item = self.item(ask.subject).await?;
        let objection = ask.proof.and_then(|proof| objection(&item, proof));
        Ok(objection.unwrap_or_else(|| {
            let windows = windows_of(&item);
            let readings = readings(ask, &windows);
            self.remember(ask.subject, windows);
            Verdict::Refused(readings)
        }))
    }

    /// Sends an update, again and again while a transaction is changing the item: that says nothing
    /// of the view, and is over in a moment.
    pub(super) async fn try_update(
        &self,
        subject: &Subject,
        expression: Expression,
    ) -> Result<Tried, EngineError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(SHORTEST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(MAX_CONFLICTS)
            .with_total_delay(Some(self.budget))
            .with_jitter();
        let began = Instant::now();
        let update = || self.update(subject, expression.clone());
        let sent = update
            .retry(pauses)
            .when(|failure| matches!(failure, NotSent::InConflict) && began.elapsed() < self.budget)
            .await;
        sent.map_err(|failure| match failure {
            NotSent::InConflict => EngineError::Throttled,
            NotSent::Failed(error) => error,
        })
    }

    async fn update(&self, subject: &Subject, expression: Expression) -> Result<Tried, NotSent> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PK, text(subject_pk(subject)))
            .key(SK, text(ADMISSION_SK))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        match expression.apply(request).send().await {
            Ok(answer) => Ok(Tried::Counted(answer.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Tried::NotSo(failed.item.clone().unwrap_or_default()))
                }
                Some(UpdateItemError::TransactionConflictException(_)) => Err(NotSent::InConflict),
                _ => Err(NotSent::Failed(of_sdk("UpdateItem", error))),
            },
        }
    }

    fn view_of(&self, subject: &Subject) -> Windows {
        let view = self.views.get(subject);
        view.map(|view| view.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .unwrap_or_default()
    }

    fn remember(&self, subject: &Subject, windows: Windows) {
        let view = self.views.get_with_by_ref(subject, Arc::default);
        *view.lock().unwrap_or_else(PoisonError::into_inner) = windows;
    }

    /// Puts what an update changed into the view that it was made from.
    fn remember_counted(
        &self,
        ask: &Ask<'_>,
        before: &Windows,
        changed: &Item,
        cleared: &[WindowId],
    ) {
        let view = self.views.get_with_by_ref(ask.subject, Arc::default);
        let mut view = view.lock().unwrap_or_else(PoisonError::into_inner);
        for id in cleared {
            view.remove(id);
        }
        for check in ask.checks {
            let count = |name: &str| {
                changed
                    .get(&format!("{}.{name}", check.id.as_str()))
                    .and_then(number_of)
            };
            let counter = match (counter_of(changed, &check.id), before.get(&check.id)) {
                // It began, or moved on to another bucket: all of it was set.
                (Some(counter), _) => counter,
                (None, Some(before)) => {
                    let newest = (before.newest.0, count(attribute::COUNT).unwrap_or(0));
                    Counter {
                        newest,
                        ..before.clone()
                    }
                }
                (None, None) => continue,
            };
            let is_newer = |known: &Counter| known.newest <= counter.newest;
            if view.get(&check.id).is_none_or(is_newer) {
                view.insert(check.id.clone(), counter);
            }
        }
    }
}

/// The update that counts a request, from a view that may be old, and the buckets it counts in.
pub(super) struct Plan {
    pub(super) expression: Expression,
    buckets: Vec<i64>,
    /// The windows that it clears away.
    cleared: Vec<WindowId>,
}

impl Plan {
    pub(super) fn new(ask: &Ask<'_>, view: &Windows) -> Self {
        let mut plan = Self {
            expression: Expression::default(),
            buckets: vec![],
            cleared: vec![],
        };
        if let Some(proof) = ask.proof {
            plan.require_standing(proof);
        }
        let mut has_moved = false;
        for check in ask.checks {
            let counter = view.get(&check.id);
            let bucket = Counter::bucket_at(counter, check.window, ask.now);
            has_moved |= counter.is_none_or(|counter| counter.newest.0 != bucket);
            plan.count(check, counter, bucket);
            plan.buckets.push(bucket);
        }
        if has_moved {
            plan.clear_unused(ask, view);
            if !matches!(ask.subject, Subject::User(_)) {
                // One subject that is no user is always asked about with the same windows.
                let longest = ask.checks.iter().map(|check| check.window.memory()).max();
                let expiry = ask.now.plus(longest.unwrap_or_default()).plus(RETENTION);
                let name = plan.expression.name("ttl");
                let ttl = plan.expression.value(number(expiry.seconds()));
                plan.expression.set(format!("{name} = {ttl}"));
            }
        }
        plan
    }

    fn require_standing(&mut self, proof: Proof) {
        let it = &mut self.expression;
        let (epoch, read) = (it.name(EPOCH), it.value(number(proof.epoch)));
        it.require(format!("{epoch} = {read}"));
        let (active, yes) = (it.name(ACTIVE), it.value(AttributeValue::Bool(true)));
        it.require(format!("{active} = {yes}"));
        if let Some(session) = proof.session {
            let (live, session) = (it.name(LIVE), it.value(text(session.short())));
            it.require(format!("contains({live}, {session})"));
        }
    }

    fn count(&mut self, check: &Check, counter: Option<&Counter>, bucket: i64) {
        let it = &mut self.expression;
        // DynamoDB refuses names that nothing uses.
        let mut name = |attribute: &str| it.name(format!("{}.{attribute}", check.id.as_str()));
        let [newest, count, sum] =
            [attribute::NEWEST, attribute::COUNT, attribute::SUM].map(&mut name);
        let cost = it.value(number(check.cost));
        // What may count before this request; in shadow mode whatever does.
        let open = |room: u64| (check.mode == Mode::Enforce).then_some(room);
        let Some(counter) = counter else {
            let at = it.value(number(bucket));
            it.require(format!("attribute_not_exists({newest})"));
            it.set(format!("{newest} = {at}, {count} = {cost}, {sum} = {cost}"));
            return;
        };
        let read = it.value(number(counter.newest.0));
        it.require(format!("{newest} = {read}"));
        let room = check.limit.saturating_sub(check.cost);
        if bucket == counter.newest.0 {
            if let Some(room) = open(room) {
                let room = it.value(number(room));
                it.require(format!("{sum} <= {room}"));
            }
            it.set(format!(
                "{count} = {count} + {cost}, {sum} = {sum} + {cost}"
            ));
            return;
        }
        let mut name = |attribute: &str| it.name(format!("{}.{attribute}", check.id.as_str()));
        let [previous_count, past_of] = [attribute::PREVIOUS_COUNT, attribute::PAST].map(&mut name);
        if let Some((_, previous)) = counter.previous {
            // A refund may have changed it since; what is packed and what leaves the sum is final.
            let read = it.value(number(previous));
            it.require(format!("{previous_count} = {read}"));
        }
        let at = it.value(number(bucket));
        let has_newest_left = counter.newest.0 + check.window.span() <= bucket;
        let (new_sum, room) = if has_newest_left {
            (cost.clone(), None)
        } else {
            let evicted = counter.evicted_by(check.window, bucket);
            let by = it.value(AttributeValue::N(
                (i128::from(check.cost) - i128::from(evicted)).to_string(),
            ));
            (format!("{sum} + {by}"), open(room.saturating_add(evicted)))
        };
        if let Some(room) = room {
            let room = it.value(number(room));
            it.require(format!("{sum} <= {room}"));
        }
        let packed = it.value(past(
            counter.newest.0,
            &counter.packed(check.window, bucket),
        ));
        it.set(format!(
            "{newest} = {at}, {previous_count} = {count}, {count} = {cost}, {sum} = {new_sum}, \
             {past_of} = {packed}"
        ));
    }

    /// Clears away windows that nothing counts in any more, such as those of a class that the
    /// policy no longer has.
    fn clear_unused(&mut self, ask: &Ask<'_>, view: &Windows) {
        let is_unused = |id: &WindowId, counter: &Counter| {
            let is_asked_for = ask.checks.iter().any(|check| check.id == *id);
            let has_passed = id.window().is_some_and(|window| {
                window.clear_at(counter.newest.0).plus(window.memory()) < ask.now
            });
            has_passed && !is_asked_for
        };
        let unused = view
            .iter()
            .filter(|(id, counter)| is_unused(id, counter))
            .take(MAX_CLEARED);
        for (id, counter) in unused {
            let it = &mut self.expression;
            let names = attribute::ALL.map(|name| it.name(format!("{}.{name}", id.as_str())));
            let read = it.value(number(counter.newest.0));
            it.require(format!("{} = {read}", names[0]));
            for name in names {
                it.remove(name);
            }
            self.cleared.push(id.clone());
        }
    }
}

/// The update that takes back what was counted, as far as the view says where it is.
fn refund_of(counted: &[(Check, Reading)], view: &Windows) -> Expression {
    let mut it = Expression::default();
    for (check, reading) in counted {
        let Some(kept) = view.get(&check.id) else {
            continue;
        };
        let of_bucket = if kept.newest.0 == reading.bucket {
            attribute::COUNT
        } else if kept
            .previous
            .is_some_and(|(bucket, _)| bucket == reading.bucket)
        {
            attribute::PREVIOUS_COUNT
        } else {
            continue;
        };
        let id = check.id.as_str();
        let newest = it.name(format!("{id}.{}", attribute::NEWEST));
        let count = it.name(format!("{id}.{of_bucket}"));
        let read = it.value(number(kept.newest.0));
        let cost = it.value(number(check.cost));
        it.require(format!("{newest} = {read} AND {count} >= {cost}"));
        let still_counts = reading.bucket + check.window.span() > kept.newest.0;
        it.set(format!("{count} = {count} - {cost}"));
        if still_counts {
            let sum = it.name(format!("{id}.{}", attribute::SUM));
            it.set(format!("{sum} = {sum} - {cost}"));
        }
    }
    it
}

/// Whether a check refuses the request however little has been counted.
fn never_fits(check: &Check) -> bool {
    check.mode == Mode::Enforce && check.cost > check.limit
}

/// What the standing in an item has against a proof; without a standing there is no such user.
fn objection(item: &Item, proof: Proof) -> Option<Verdict> {
    match from_item::<StandingItem>(item.clone()) {
        Ok(standing) => Standing::from(standing).objection(proof),
        Err(_) => Some(Verdict::Invalid),
    }
}

fn readings(ask: &Ask<'_>, windows: &Windows) -> Vec<Reading> {
    let read = |check: &Check| {
        let counter = windows.get(&check.id);
        Counter::read(counter, check.window, check.limit, check.cost, ask.now)
    };
    ask.checks.iter().map(read).collect()
}

/// The readings of an admitted request, from what its update returned.
fn admitted(ask: &Ask<'_>, buckets: &[i64], changed: &Item) -> Vec<Reading> {
    let read = |(check, bucket): (&Check, &i64)| {
        let used = sum_of(changed, &check.id).unwrap_or(check.cost);
        let before = Reading {
            used: used - check.cost.min(used),
            fits: used <= check.limit,
            whole_at: ask.now,
            admits_at: None,
            bucket: *bucket,
        };
        counted(check, before)
    };
    ask.checks.iter().zip(buckets).map(read).collect()
}

fn sum_of(item: &Item, id: &WindowId) -> Option<u64> {
    item.get(&format!("{}.{}", id.as_str(), attribute::SUM))
        .and_then(number_of)
}

pub(super) fn of_sdk<E>(operation: &'static str, error: SdkError<E>) -> EngineError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let is_throttle = match &error {
        SdkError::ServiceError(answer) => answer
            .err()
            .code()
            .is_some_and(|code| THROTTLED.contains(&code)),
        _ => false,
    };
    if is_throttle {
        EngineError::Throttled
    } else {
        EngineError::Away(StoreError::from_sdk(operation, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::session::MAX_SESSIONS;
    use crate::ids::{SessionId, UserId};
    use crate::limits::policy::{Per, Policy};
    use crate::limits::{Bucket, Source, Window};
    use crate::stores::tables::admission::{CLOSED, TOLD};
    use crate::stores::to_item;

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_380_000);
    /// DynamoDB's own bounds, for each expression; here the two of an update keep them together.
    const MAX_EXPRESSION_BYTES: usize = 4_096;
    const MAX_OPERATORS: usize = 300;
    /// Keys of a user that can have limits of their own.
    const KEY_SLOTS: u8 = 5;

    fn check(id: WindowId, window: Window) -> Check {
        Check {
            name: "test".into(),
            id,
            limit: 9_999_999_999,
            window,
            cost: 1_000_000_000,
            source: Source::Tier,
            mode: Mode::Enforce,
        }
    }

    fn windows_of_tier() -> [(WindowId, Window); 3] {
        [
            (WindowId::HOUR, Window::HOUR),
            (WindowId::DAY, Window::DAY),
            (WindowId::MONTH, Window::Month),
        ]
    }

    fn windows_of_key(slot: u64) -> [(WindowId, Window); 3] {
        windows_of_tier().map(|(_, window)| (WindowId::of_key(slot, window), window))
    }

    fn named(name: &str, seconds: u32) -> (WindowId, Window) {
        (WindowId::named(name, seconds), Window::Sliding { seconds })
    }

    /// A window that is full of buckets with `count` each, as of some buckets before `NOW`.
    fn full(window: Window, count: u64, ago: i64) -> Counter {
        let newest = window.bucket_at(NOW) - ago;
        let older = (2..window.kept()).rev();
        let older: Vec<Bucket> = older.map(|gap| (newest - gap, count)).collect();
        Counter {
            newest: (newest, count),
            previous: Some((newest - 1, count)),
            older,
        }
    }

    fn operators(text: &str) -> usize {
        let signs = ["=", "<", "+", " - ", "AND", "attribute_", "contains"];
        let count = |sign: &&str| text.matches(sign).count();
        // `<=` is one.
        signs.iter().map(count).sum::<usize>() - text.matches("<=").count()
    }

    #[test]
    fn the_largest_update_of_a_policy_is_one_that_dynamodb_takes() {
        let classes = [1, 2, 3].map(|index| {
            let name = format!("the-longest-name-that-a-class-may-have-{index}");
            named(&name, 2_678_400)
        });
        let asked: Vec<Check> = windows_of_tier()
            .into_iter()
            .chain(classes)
            .chain(windows_of_key(4))
            .map(|(id, window)| check(id, window))
            .collect();
        let mut view = Windows::new();
        for check in &asked {
            view.insert(check.id.clone(), full(check.window, 7_777_777_777, 1));
        }
        for name in ["unused-1", "unused-2", "unused-3"] {
            let (id, window) = named(name, 60);
            view.insert(id, full(window, 7, 10_000));
        }
        let subject = Subject::User(UserId::new(NOW));
        let ask = Ask {
            subject: &subject,
            proof: Some(Proof {
                epoch: u64::MAX,
                session: Some(SessionId::new(NOW)),
            }),
            checks: &asked,
            now: NOW,
        };

        let plan = Plan::new(&ask, &view);

        let (update, condition) = (plan.expression.update(), plan.expression.condition());
        assert_eq!(plan.cleared.len(), MAX_CLEARED);
        // All move on, two of them into a month that begins anew.
        assert_eq!(update.matches('#').count(), 7 * 7 + 2 * 6 + 2 * 5);
        let bytes = update.len() + condition.len();
        assert!(
            bytes <= MAX_EXPRESSION_BYTES,
            "{bytes}: {update} {condition}"
        );
        let operators = operators(&update) + operators(&condition);
        assert!(operators <= MAX_OPERATORS, "{operators}");
    }

    /// By the rules of the Developer Guide, "DynamoDB item sizes and formats".
    fn size_of(item: &Item) -> usize {
        let of_value = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
            AttributeValue::Bool(_) => 1,
            other => panic!("{other:?} is in no window"),
        };
        let sizes = item
            .iter()
            .map(|(name, value)| name.len() + of_value(value));
        sizes.sum()
    }

    #[test]
    fn the_item_of_a_busy_user_stays_below_four_kilobytes() {
        let user = UserId::new(NOW);
        let standing = StandingItem {
            pk: subject_pk(&Subject::User(user)),
            sk: ADMISSION_SK.to_owned(),
            v: 1_000,
            ep: 1_000,
            active: true,
            live: (0..MAX_SESSIONS)
                .map(|_| SessionId::new(NOW).short())
                .collect(),
            rs: 1_000,
        };
        let mut item = to_item(standing).unwrap();
        item.insert(CLOSED.to_owned(), number(24_322));
        item.insert(TOLD.to_owned(), number(24_323_100));
        let policy = Policy::built_in();
        let premium = policy.tier("premium");
        let per_user = policy.classes().flat_map(|(_, class)| &class.limits);
        let per_user = per_user
            .filter(|limit| limit.per == Per::User)
            .map(|limit| {
                (
                    named(&limit.name, limit.rate.window_seconds),
                    limit.rate.limit,
                )
            });
        let of_tier = windows_of_tier()
            .into_iter()
            .zip([premium.hour, premium.day, premium.month]);
        let of_tier = of_tier.map(|(window, limit)| (window, limit.unwrap()));
        // What the keys do is within what their user may.
        let of_keys = (0..KEY_SLOTS).flat_map(|slot| {
            let limits = [premium.hour, premium.day, premium.month];
            let limits = limits.map(|limit| limit.unwrap() / u64::from(KEY_SLOTS));
            windows_of_key(slot.into()).into_iter().zip(limits)
        });
        let mut windows = Windows::new();
        for ((id, window), limit) in of_tier.chain(per_user).chain(of_keys) {
            let span = u64::try_from(window.span()).unwrap();
            windows.insert(id, full(window, limit.div_ceil(span), 0));
        }

        for (id, counter) in &windows {
            let (previous, count) = counter.previous.unwrap();
            let sum = counter.used_in(id.window().unwrap(), counter.newest.0);
            let attributes = [
                (attribute::NEWEST, number(counter.newest.0)),
                (attribute::COUNT, number(counter.newest.1)),
                (attribute::SUM, number(sum)),
                (attribute::PREVIOUS_COUNT, number(count)),
                (attribute::PAST, past(previous, &counter.older)),
            ];
            for (name, value) in attributes {
                item.insert(format!("{}.{name}", id.as_str()), value);
            }
        }

        assert_eq!(windows_of(&item), windows);
        assert!(size_of(&item) <= 4_096, "{}", size_of(&item));
    }
}
