//! Limits and quotas, as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admission::Quota;
use crate::auth::Tier;
use crate::clock::Timestamp;
use crate::limits::plan::TierLimit;
use crate::limits::policy::Mode;
use crate::limits::{LimitReport, LimitState, Source, Window};

/// A limit and how it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = LimitState)]
pub struct LimitStateObject {
    /// Its name, as headers and `violated-policies` have it.
    #[schema(example = "hour")]
    name: String,
    /// Null when there is none.
    #[schema(required, example = 100)]
    limit: Option<u64>,
    /// How much of it is used; null when there is no limit, because then nothing is counted.
    #[schema(required, example = 1)]
    used: Option<u64>,
    #[schema(required, example = 99)]
    remaining: Option<u64>,
    /// The length of a window that slides; left out of the calendar month.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3_600)]
    window_seconds: Option<u32>,
    /// `month`: the calendar month in UTC; left out of a window that slides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    period: Option<Period>,
    /// When it is whole again if nothing more is sent; where it refuses, when the request would be
    /// admitted. Null if never, or when there is no limit.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    reset_at: Option<Timestamp>,
    source: Source,
    mode: Mode,
}

/// What a window that does not slide follows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Period {
    Month,
}

impl From<&LimitState> for LimitStateObject {
    fn from(state: &LimitState) -> Self {
        Self {
            limit: Some(state.limit),
            used: Some(state.used),
            remaining: Some(state.remaining()),
            reset_at: state.reset_at,
            mode: state.mode,
            ..Self::empty(&state.name, state.window, state.source)
        }
    }
}

impl From<&TierLimit> for LimitStateObject {
    fn from(unlimited: &TierLimit) -> Self {
        Self::empty(unlimited.name, unlimited.window(), unlimited.source)
    }
}

impl LimitStateObject {
    /// The limits of a report, in their order.
    pub fn all_of(report: &LimitReport) -> Vec<Self> {
        report.states.iter().map(Self::from).collect()
    }

    fn empty(name: &str, window: Window, source: Source) -> Self {
        Self {
            name: name.to_owned(),
            limit: None,
            used: None,
            remaining: None,
            window_seconds: window.seconds(),
            period: matches!(window, Window::Month).then_some(Period::Month),
            reset_at: None,
            source,
            mode: Mode::Enforce,
        }
    }
}

/// What a user has, and how much of it is used.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota)]
pub struct QuotaBody {
    tier: Tier,
    /// Hour, day and month, then the classes' limits, then those of the key that asks.
    limits: Vec<LimitStateObject>,
    /// What the tier has besides.
    #[schema(example = json!(["ai_summarization"]))]
    features: Vec<String>,
    concurrent_jobs: ConcurrentJobs,
}

/// Jobs that may be under way at a time.
#[derive(Serialize, ToSchema)]
struct ConcurrentJobs {
    /// Null when there is no limit.
    #[schema(required, example = 5)]
    limit: Option<u64>,
    used: u64,
}

impl From<&Quota> for QuotaBody {
    fn from(quota: &Quota) -> Self {
        let mut limits: Vec<_> = quota.unlimited.iter().map(LimitStateObject::from).collect();
        limits.extend(LimitStateObject::all_of(&quota.limits));
        let places = ["hour", "day", "month"];
        // Stable: what is not of the tier stays in its order behind.
        limits.sort_by_key(|limit| {
            let place = places.iter().position(|place| *place == limit.name);
            place.unwrap_or(places.len())
        });
        Self {
            tier: quota.tier.clone(),
            limits,
            features: quota.features.clone(),
            concurrent_jobs: ConcurrentJobs {
                limit: quota.concurrent_jobs,
                used: 0,
            },
        }
    }
}
