//! The ladder of engines: Valkey, then DynamoDB, then what the class says.
//!
//! No step waits longer than its budget, none is taken silently, and coming back up needs no
//! restart: a link to Valkey is made anew beside the requests, and DynamoDB is asked again by
//! every one of them.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::errors::chain;
use crate::limits::policy::OnOutage;
use crate::limits::{Ask, Check, MemoryEngine, Reading, Subject, Verdict};
use crate::stores::{DynamoDbEngine, EngineError, LinkState, ValkeyEngine, ValkeyError};

use super::Degraded;

/// The engines of one process.
pub(super) struct Ladder {
    valkey: Option<ValkeyEngine>,
    dynamodb: DynamoDbEngine,
    memory: MemoryEngine,
    is_dynamodb_away: AtomicBool,
}

/// What the ladder came to.
pub(super) enum Outcome {
    /// A store decided, and which.
    Decided(Verdict, CountedBy),
    /// No store answers, and this process decided alone, about limits and not about identity.
    DecidedAlone(Verdict),
    /// No store answers, and the class lets its requests pass.
    Waived,
    /// No store answers, and the class lets nothing pass.
    Closed,
    /// The subject's own item is overloaded.
    Throttled,
}

/// Who counted what was admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CountedBy {
    Valkey,
    DynamoDb,
    /// Nobody, or this process alone while no store answers.
    NoStore,
}

/// What became of a refund.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refund {
    Made,
    NotMade,
    /// The store did not say.
    Unknown,
}

impl Ladder {
    pub(super) fn new(valkey: Option<ValkeyEngine>, dynamodb: DynamoDbEngine) -> Self {
        Self {
            valkey,
            dynamodb,
            memory: MemoryEngine::default(),
            is_dynamodb_away: AtomicBool::new(false),
        }
    }

    pub(super) fn valkey(&self) -> Option<&ValkeyEngine> {
        self.valkey.as_ref()
    }

    pub(super) fn dynamodb(&self) -> &DynamoDbEngine {
        &self.dynamodb
    }

    /// What is away, as far as this process has noticed.
    pub(super) fn degraded(&self) -> Degraded {
        let is_up = |valkey: &ValkeyEngine| valkey.link().state() == LinkState::Up;
        Degraded {
            valkey: !self.valkey.as_ref().is_none_or(is_up),
            dynamodb: self.is_dynamodb_away.load(Ordering::Relaxed),
            revocation: false,
        }
    }

    pub(super) async fn decide(&self, ask: &Ask<'_>, on_outage: OnOutage) -> Outcome {
        let answer = match &self.valkey {
            None => self.dynamodb.decide(ask).await,
            Some(valkey) => match valkey.decide(ask).await {
                // That says nothing of DynamoDB, which had no part in it as a rule.
                Ok(verdict) => return Outcome::Decided(verdict, CountedBy::Valkey),
                Err(ValkeyError::Store(error)) => Err(error),
                Err(ValkeyError::Away(_) | ValkeyError::NoLink) => self.dynamodb.decide(ask).await,
            },
        };
        match self.noticed(answer) {
            Ok(verdict) => Outcome::Decided(verdict, CountedBy::DynamoDb),
            Err(EngineError::Throttled) => Outcome::Throttled,
            Err(EngineError::Away(_)) => match on_outage {
                OnOutage::Open => Outcome::Waived,
                OnOutage::Local => Outcome::DecidedAlone(self.memory.decide(ask)),
                OnOutage::Closed => Outcome::Closed,
            },
        }
    }

    /// How the checks stand, without counting.
    pub(super) async fn look(
        &self,
        subject: &Subject,
        checks: &[Check],
        now: crate::clock::Timestamp,
    ) -> Result<Vec<Reading>, EngineError> {
        let answer = match &self.valkey {
            None => self.dynamodb.look(subject, checks, now).await,
            Some(valkey) => match valkey.look(subject, checks, now).await {
                Ok(readings) => Ok(readings),
                Err(ValkeyError::Store(error)) => Err(error),
                Err(ValkeyError::Away(_) | ValkeyError::NoLink) => {
                    self.dynamodb.look(subject, checks, now).await
                }
            },
        };
        self.noticed(answer)
    }

    /// Takes back what was counted, where it was counted. What cannot be taken back stays counted.
    pub(super) async fn refund(
        &self,
        subject: &Subject,
        counted: &[(Check, Reading)],
        by: CountedBy,
    ) -> Refund {
        let answer = match (by, &self.valkey) {
            (CountedBy::NoStore, _) => {
                self.memory.refund(subject, counted);
                return Refund::Made;
            }
            (CountedBy::Valkey, Some(valkey)) => valkey.refund(subject, counted).await,
            (CountedBy::Valkey, None) => Err(ValkeyError::NoLink),
            (CountedBy::DynamoDb, _) => {
                let answer = self.dynamodb.refund(subject, counted).await;
                self.noticed(answer).map_err(ValkeyError::Store)
            }
        };
        let Err(error) = answer else {
            return Refund::Made;
        };
        tracing::warn!(cause = chain(&error), "a refund could not be made");
        match error {
            ValkeyError::NoLink | ValkeyError::Store(EngineError::Throttled) => Refund::NotMade,
            ValkeyError::Away(_) | ValkeyError::Store(EngineError::Away(_)) => Refund::Unknown,
        }
    }

    /// Logs once that DynamoDB has gone or come back.
    fn noticed<T>(&self, answer: Result<T, EngineError>) -> Result<T, EngineError> {
        match &answer {
            Err(EngineError::Away(error)) => {
                if !self.is_dynamodb_away.swap(true, Ordering::Relaxed) {
                    let cause = chain(error);
                    tracing::error!(cause, "DynamoDB is away: each class does as it says");
                }
            }
            Ok(_) | Err(EngineError::Throttled) => {
                if self.is_dynamodb_away.load(Ordering::Relaxed)
                    && self.is_dynamodb_away.swap(false, Ordering::Relaxed)
                {
                    tracing::info!("DynamoDB is back");
                }
            }
        }
        answer
    }
}
