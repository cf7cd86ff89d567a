//! The engine on Valkey: one call of a script, which looks at the copy of the subject's standing,
//! asks every limit, and counts in all of them or in none.
//!
//! What makes a credential valid is kept in DynamoDB. Valkey holds a copy for a minute at most,
//! and only where whoever changes a standing can take it away: a copy that is absent, or that
//! says something else than the caller, is read anew, and asked about once more. The month is
//! DynamoDB's too: the script spends blocks that were leased from it, so that losing Valkey can
//! lose a block, and never sell one twice. Time is the server's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use moka::sync::Cache;
use redis::{RedisError, Value};

use super::EngineError;
use super::dynamodb::{DynamoDbEngine, Lease};
use super::pending::PendingRemovals;
use crate::clock::{Clock, Timestamp};
use crate::limits::policy::Mode;
use crate::limits::{Ask, Check, Proof, Reading, Subject, Verdict, Window, WindowId};
use crate::stores::Standing;
use crate::stores::valkey::{Call, Live, Script, ValkeyLink};

/// Tries of one decision: one while the copy is there and blocks are leased, one more for the copy
/// and for each month (the tier's and the key's), and one for what was taken away in between.
const MAX_TRIES: usize = 6;

/// How many subjects' turns are remembered.
const MAX_LEASING: u64 = 10_000;

static ADMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("admit.lua")));
static BEGIN_MONTH: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("begin_month.lua")));
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));
static DRAIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("drain.lua")));
static REFUND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("refund.lua")));

/// Why the engine gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ValkeyError {
    #[error("Valkey is away or does not answer as it should")]
    Away(#[source] RedisError),
    #[error("there is no link to Valkey")]
    NoLink,
    /// Valkey answered, but what it needs from DynamoDB could not be had.
    #[error(transparent)]
    Store(#[from] EngineError),
}

/// The windows of every subject in Valkey.
#[derive(Clone)]
pub struct ValkeyEngine {
    link: ValkeyLink,
    truth: DynamoDbEngine,
    pending: PendingRemovals,
    /// The number of the link that word left during an outage was followed up on.
    replayed: Arc<AtomicU64>,
    replaying: Arc<tokio::sync::Mutex<()>>,
    /// Whose turn it is to lease for a subject.
    leasing: Cache<Subject, Arc<tokio::sync::Mutex<()>>>,
    clock: Clock,
}

/// What the script is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Count,
    /// At windows that were reset so often: the copy of the standing, which says that to whoever
    /// counts, need not be there.
    Look(u64),
}

/// What the script answered.
enum Answer {
    Verdict(Verdict),
    /// Read the standing, and install it under this ticket.
    Doubt(String),
    /// The check with this index needs a lease of this much. What was leased for others is theirs.
    Lease(usize, u64),
}

impl ValkeyEngine {
    /// An engine over `link`, which reads standings and leases months from `truth`.
    pub fn new(link: ValkeyLink, truth: DynamoDbEngine, clock: Clock) -> Self {
        Self {
            link,
            pending: truth.pending_removals(),
            truth,
            replayed: Arc::default(),
            replaying: Arc::default(),
            leasing: Cache::builder().max_capacity(MAX_LEASING).build(),
            clock,
        }
    }

    pub fn link(&self) -> &ValkeyLink {
        &self.link
    }

    /// Decides, and counts if everything is open.
    pub async fn decide(&self, ask: &Ask<'_>) -> Result<Verdict, ValkeyError> {
        let live = self.live().await?;
        let mut install = None;
        let mut leased = None;
        let mut turn = None;
        for tried in 1.. {
            let call = self.admit_call(ask, Act::Count, &live, install.as_ref(), leased);
            let value = self.run(&live, &ADMIT, &call).await?;
            match read_answer(&value, ask.checks).ok_or_else(|| ValkeyError::Away(unreadable()))? {
                Answer::Verdict(verdict) => return Ok(verdict),
                Answer::Doubt(ticket) => {
                    // A block that was brought along has been put aside.
                    leased = None;
                    let standing = self.truth.standing(ask.subject).await?;
                    let (Some(standing), Some(proof)) = (standing, ask.proof) else {
                        return Ok(Verdict::Invalid);
                    };
                    if let Some(objection) = standing.objection(proof) {
                        return Ok(objection);
                    }
                    install = Some((ticket, standing));
                    if tried >= MAX_TRIES {
                        break;
                    }
                }
                // Nothing is leased that would not be brought along any more: it would be lost.
                Answer::Lease(..) if tried >= MAX_TRIES => break,
                // Of a burst one leases, and the others look again whether that will do.
                Answer::Lease(..) if turn.is_none() => {
                    let of_subject = self.leasing.get_with_by_ref(ask.subject, Arc::default);
                    turn = Some(of_subject.lock_owned().await);
                }
                Answer::Lease(index, lacking) => {
                    let check = &ask.checks[index];
                    let lease = self.truth.lease(ask.subject, check, lacking, ask.now);
                    leased = Some((index, lease.await?));
                }
            }
        }
        // The standing changes faster than it can be copied: DynamoDB, which has it, decides.
        Err(ValkeyError::NoLink)
    }

    /// How the checks stand, without counting.
    pub async fn look(
        &self,
        subject: &Subject,
        checks: &[Check],
        now: Timestamp,
    ) -> Result<Vec<Reading>, ValkeyError> {
        let live = self.live().await?;
        // What the month has lost is known to DynamoDB; what of it is not spent yet, to Valkey.
        let is_month = |check: &&Check| check.window == Window::Month;
        let months: Vec<Check> = checks.iter().filter(is_month).cloned().collect();
        let (taken, resets) = match subject {
            Subject::User(_) => self.truth.look_at_reset(subject, &months, now).await?,
            Subject::Other(_) if months.is_empty() => (vec![], 0),
            Subject::Other(_) => (self.truth.look(subject, &months, now).await?, 0),
        };
        let ask = Ask {
            subject,
            proof: None,
            checks,
            now,
        };
        let call = self.admit_call(&ask, Act::Look(resets), &live, None, None);
        let value = self.run(&live, &ADMIT, &call).await?;
        let (mut readings, leased) =
            looked_at(&value, checks).ok_or_else(|| ValkeyError::Away(unreadable()))?;
        let indexed = checks.iter().enumerate();
        let months = indexed.filter(|(_, check)| check.window == Window::Month);
        for ((index, check), taken) in months.zip(taken) {
            let used = taken.used.saturating_sub(leased[index]);
            let fits = used.saturating_add(check.cost) <= check.limit;
            let next_month = check.window.clear_at(taken.bucket);
            readings[index] = Reading {
                used,
                fits,
                whole_at: if used == 0 { now } else { next_month },
                admits_at: (!fits && check.cost <= check.limit).then_some(next_month),
                bucket: taken.bucket,
            };
        }
        Ok(readings)
    }

    /// The link, once what others could not take away while Valkey was away has been.
    async fn live(&self) -> Result<Live, ValkeyError> {
        let live = self.link.live().ok_or(ValkeyError::NoLink)?;
        if self.replayed.load(Ordering::Acquire) < live.made {
            // One follows up on the word, the others wait for that.
            let _turn = self.replaying.lock().await;
            if self.replayed.load(Ordering::Acquire) < live.made {
                self.replay(&live).await?;
            }
        }
        Ok(live)
    }

    /// Takes away what could not be while there was no link. Until all of it is done, there is no
    /// link for anybody: DynamoDB decides.
    async fn replay(&self, live: &Live) -> Result<(), ValkeyError> {
        let given_up = |_: EngineError| ValkeyError::NoLink;
        let (removals, is_all) = self.pending.list().await.map_err(given_up)?;
        for removal in removals {
            self.take_away(live, &removal.subject).await?;
            self.pending.done(&removal).await.map_err(given_up)?;
        }
        if !is_all {
            return Err(ValkeyError::NoLink);
        }
        self.replayed.fetch_max(live.made, Ordering::AcqRel);
        Ok(())
    }

    /// Takes back what was counted for the checks, where the readings say it was.
    pub async fn refund(
        &self,
        subject: &Subject,
        counted: &[(Check, Reading)],
    ) -> Result<(), ValkeyError> {
        let live = self.live().await?;
        let subject = subject.to_string();
        let mut call = Call::default();
        for (check, reading) in counted {
            call.keys.push(window_key(&subject, &check.id));
            let is_month = i64::from(check.window == Window::Month);
            let args = [
                reading.bucket.to_string(),
                check.cost.to_string(),
                is_month.to_string(),
            ];
            call.args.extend(args.map(String::into_bytes));
        }
        self.run(&live, &REFUND, &call).await.map(|_| ())
    }

    /// Begins a subject's month, unless a request has done so, and answers with what is known to be
    /// leased and not spent of those before.
    pub async fn begin_month(
        &self,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Vec<(i64, u64)>, ValkeyError> {
        let live = self.live().await?;
        let call = Call {
            keys: vec![window_key(&subject.to_string(), &WindowId::MONTH)],
            args: vec![Numbers::of([Window::Month.bucket_at(now), Window::Month.kept()]).0],
        };
        let value = self.run(&live, &BEGIN_MONTH, &call).await?;
        rests_of(&value).ok_or_else(|| ValkeyError::Away(unreadable()))
    }

    /// Takes out what is leased of a subject's month and not spent, so that nobody spends it any
    /// more. It is kept for whoever closes the month.
    pub async fn drain(&self, subject: &Subject) -> Result<(), ValkeyError> {
        let live = self.live().await?;
        let call = Call {
            keys: vec![window_key(&subject.to_string(), &WindowId::MONTH)],
            args: vec![],
        };
        self.run(&live, &DRAIN, &call).await.map(|_| ())
    }

    /// Takes the copy of a subject's standing away, and voids what others are about to install.
    pub async fn forget(&self, subject: &Subject) -> Result<(), ValkeyError> {
        let live = self.live().await?;
        self.take_away(&live, &subject.to_string()).await
    }

    /// Leaves word that a copy is still to be taken away, for whoever reaches Valkey first.
    pub async fn forget_later(&self, subject: &Subject, now: Timestamp) -> Result<(), EngineError> {
        self.pending.put(subject, now).await
    }

    async fn take_away(&self, live: &Live, subject: &str) -> Result<(), ValkeyError> {
        let call = Call {
            keys: vec![standing_key(subject)],
            args: vec![],
        };
        self.run(live, &FORGET, &call).await.map(|_| ())
    }

    fn admit_call(
        &self,
        ask: &Ask<'_>,
        act: Act,
        live: &Live,
        install: Option<&(String, Standing)>,
        leased: Option<(usize, Lease)>,
    ) -> Call {
        let subject = ask.subject.to_string();
        let mut call = Call::default();
        call.keys.push(standing_key(&subject));
        let mut numbers = Numbers::of([
            if self.clock.is_shifted() {
                ask.now.millis()
            } else {
                SERVERS_OWN_TIME
            },
            live.trusted_since.millis(),
            i64::from(act == Act::Count),
            match act {
                Act::Count => 0,
                Act::Look(resets) => saturated(resets),
            },
        ]);
        for check in ask.checks {
            call.keys.push(window_key(&subject, &check.id));
            let month = match check.window {
                Window::Month => check.window.bucket_at(ask.now),
                Window::Sliding { .. } => 0,
            };
            numbers.add([
                saturated(check.limit),
                saturated(check.cost),
                i64::from(check.window.seconds().unwrap_or(0)),
                i64::from(check.mode == Mode::Enforce),
                month,
            ]);
        }
        let (known, session) = match ask.proof {
            Some(Proof { epoch, session }) => {
                let session = session.map(|session| format!(" {} ", session.short()));
                (format!("{epoch} 1 "), session.unwrap_or_default())
            }
            None => (String::new(), String::new()),
        };
        let lease = leased.map(|(index, lease)| numbers_of_lease(index, lease));
        call.args.extend([
            numbers.0,
            known.into_bytes(),
            session.into_bytes(),
            lease.unwrap_or_default().0,
        ]);
        if let Some((ticket, standing)) = install {
            let (epoch, resets) = (standing.epoch, standing.resets);
            let mut copy = format!("{epoch} {} {resets} ", i64::from(standing.is_active));
            for session in standing.live() {
                copy.push_str(session);
                copy.push(' ');
            }
            call.args
                .extend([ticket.clone().into_bytes(), copy.into_bytes()]);
        }
        call
    }

    async fn run(&self, live: &Live, script: &Script, call: &Call) -> Result<Value, ValkeyError> {
        let answer = self.link.run(live, script, call).await;
        answer.map_err(ValkeyError::Away)
    }
}

/// In place of the time: the script is to take the server's.
const SERVERS_OWN_TIME: i64 = -1;

/// Numbers as the scripts read and write them.
#[derive(Default)]
struct Numbers(Vec<u8>);

impl Numbers {
    fn of<const N: usize>(numbers: [i64; N]) -> Self {
        let mut packed = Self::default();
        packed.add(numbers);
        packed
    }

    fn add<const N: usize>(&mut self, numbers: [i64; N]) {
        let bytes = numbers.into_iter().flat_map(i64::to_be_bytes);
        self.0.extend(bytes);
    }

    /// Reads what a script packed.
    fn read(bytes: &[u8]) -> Option<Vec<i64>> {
        let (eights, rest) = bytes.as_chunks::<8>();
        let numbers = eights.iter().map(|eight| i64::from_be_bytes(*eight));
        rest.is_empty().then(|| numbers.collect())
    }
}

fn numbers_of_lease(index: usize, lease: Lease) -> Numbers {
    let place = i64::try_from(index + 1).unwrap_or(i64::MAX);
    match lease {
        Lease::Granted {
            block,
            total,
            bucket,
        } => Numbers::of([place, saturated(block), saturated(total), bucket]),
        Lease::Exhausted { total, bucket } => Numbers::of([place, -1, saturated(total), bucket]),
    }
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read_answer(value: &Value, checks: &[Check]) -> Option<Answer> {
    if let Value::BulkString(bytes) = value {
        let numbers = Numbers::read(bytes)?;
        let (is_admitted, act) = match numbers.first()? {
            1 => (true, Act::Count),
            _ => (false, Act::Look(0)),
        };
        let readings = readings_of(&numbers, checks, act)?;
        return Some(Answer::Verdict(if is_admitted {
            Verdict::Admitted(readings)
        } else {
            Verdict::Refused(readings)
        }));
    }
    let items = value.as_sequence()?;
    match text_of(items.first()?)?.as_str() {
        "doubt" => Some(Answer::Doubt(text_of(items.get(1)?)?)),
        "lease" => {
            let index = usize::try_from(integer_of(items.get(1)?)?).ok()?;
            let lacking = u64::try_from(integer_of(items.get(2)?)?).ok()?;
            (1..=checks.len())
                .contains(&index)
                .then(|| Answer::Lease(index - 1, lacking))
        }
        _ => None,
    }
}

/// How many numbers the script returns ahead of the checks', and for each check.
const AHEAD: usize = 2;
const NUMBERS: usize = 5;

/// The readings, and of each month what is leased and not spent.
fn looked_at(value: &Value, checks: &[Check]) -> Option<(Vec<Reading>, Vec<u64>)> {
    let Value::BulkString(bytes) = value else {
        return None;
    };
    let numbers = Numbers::read(bytes)?;
    let readings = readings_of(&numbers, checks, Act::Look(0))?;
    let leased = numbers[AHEAD..].iter().skip(NUMBERS - 1).step_by(NUMBERS);
    let leased = leased.map(|left| u64::try_from(*left).unwrap_or(0));
    Some((readings, leased.collect()))
}

fn readings_of(numbers: &[i64], checks: &[Check], act: Act) -> Option<Vec<Reading>> {
    let now = Timestamp::from_millis(*numbers.get(1)?);
    let numbers = numbers[AHEAD..].chunks_exact(NUMBERS);
    let readings = checks.iter().zip(numbers);
    let readings: Vec<Reading> = readings
        .map(|(check, numbers)| reading_of(check, numbers, act == Act::Count, now))
        .collect();
    (readings.len() == checks.len()).then_some(readings)
}

fn reading_of(check: &Check, numbers: &[i64], is_counted: bool, now: Timestamp) -> Reading {
    let used = u64::try_from(numbers[0]).unwrap_or(0);
    let cost = if is_counted { 0 } else { check.cost };
    let is_bucket = |bucket: i64| Some(bucket).filter(|bucket| *bucket >= 0);
    let fits = used.saturating_add(cost) <= check.limit;
    Reading {
        used,
        fits,
        whole_at: is_bucket(numbers[2]).map_or(now, |newest| check.window.clear_at(newest)),
        admits_at: is_bucket(numbers[3])
            .filter(|_| !fits && !is_counted)
            .map(|freeing| check.window.clear_at(freeing)),
        bucket: numbers[1],
    }
}

/// Pairs of a month and what is left of it.
fn rests_of(value: &Value) -> Option<Vec<(i64, u64)>> {
    let Value::BulkString(bytes) = value else {
        return None;
    };
    let numbers = Numbers::read(bytes)?;
    let (pairs, []) = numbers.as_chunks::<2>() else {
        return None;
    };
    let rest = |[month, left]: &[i64; 2]| Some((*month, u64::try_from(*left).ok()?));
    pairs.iter().map(rest).collect()
}

fn text_of(value: &Value) -> Option<String> {
    redis::from_redis_value_ref(value).ok()
}

fn integer_of(value: &Value) -> Option<i64> {
    redis::from_redis_value_ref(value).ok()
}

fn unreadable() -> RedisError {
    (
        redis::ErrorKind::Parse,
        "the script's answer has another form",
    )
        .into()
}

/// Everything of a subject carries its key as hash tag, so that a cluster keeps it on one node.
fn standing_key(subject: &str) -> String {
    format!("tp:{{{subject}}}:standing")
}

fn window_key(subject: &str, id: &WindowId) -> String {
    format!("tp:{{{subject}}}:{}", id.as_str())
}
