//! What every function that admits requests makes at its start, from the environment.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Admission, Budgets, Refusals};
use crate::afterwards::Afterwards;
use crate::clock::Clock;
use crate::config::{ConfigError, Environment, StageConfig, UserTables, ValkeyConfig};
use crate::limits::policy::Policy;
use crate::policy_source::{PolicyOrigin, PolicySource, PolicySourceError};
use crate::stores::{DynamoDb, PolicyStore, ValkeyLink};
use crate::upstreams::BreakerMemory;
use crate::usage_recorder::UsageRecorder;

/// Why admission cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the policy cannot be used")]
    Policy(#[from] PolicySourceError),
}

/// What the environment does not give.
#[derive(Clone)]
pub struct AdmissionParts {
    pub dynamodb: DynamoDb,
    pub clock: Clock,
    pub budgets: Budgets,
    /// A policy in a file instead of the table's.
    pub policy: Option<PathBuf>,
    /// What holds while the table has none.
    pub default_policy: Arc<Policy>,
    /// What the functions of a process have refused together: who changes limits in one of them
    /// is to be believed by all.
    pub refusals: Refusals,
    /// Where what is let in is recorded: one for all functions of a process.
    pub recorder: UsageRecorder,
    /// What is done after the answers: one for all functions of a process.
    pub afterwards: Afterwards,
    /// What the functions of a process know of upstreams' circuit breakers.
    pub breakers: BreakerMemory,
}

impl AdmissionParts {
    /// What a function has that is deployed.
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let (dynamodb, clock) = (DynamoDb::from_environment(env)?, Clock::system());
        Ok(Self {
            recorder: UsageRecorder::from_environment(env, &dynamodb, clock.clone())?,
            dynamodb,
            clock,
            budgets: Budgets::default(),
            policy: None,
            default_policy: Policy::built_in(),
            refusals: Refusals::default(),
            afterwards: Afterwards::default(),
            breakers: BreakerMemory::default(),
        })
    }
}

impl Admission {
    /// Admission as the environment describes it, with its link to Valkey made.
    pub async fn from_environment(
        env: &Environment,
        stage: &StageConfig,
        parts: AdmissionParts,
    ) -> Result<Self, SetupError> {
        let tables = UserTables::read(env)?;
        let (dynamodb, clock) = (&parts.dynamodb, &parts.clock);
        let origin = match parts.policy.clone() {
            Some(file) => PolicyOrigin::File(file),
            None => PolicyOrigin::Table(
                PolicyStore::new(dynamodb, tables.admission.clone()),
                Arc::clone(&parts.default_policy),
            ),
        };
        let valkey = match ValkeyConfig::read(env, stage.stage)? {
            None => None,
            Some(config) => Some(ValkeyLink::configured(
                config,
                env,
                clock.clone(),
                parts.budgets.valkey,
            )?),
        };
        let connected = async {
            if let Some(link) = &valkey {
                link.connect().await;
            }
        };
        let (policy, ()) = tokio::join!(PolicySource::open(origin, clock.clone()), connected);
        Ok(Self::new(parts, tables, policy?, valkey))
    }
}
