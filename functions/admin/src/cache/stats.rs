//! `GET /api/v1/admin/cache/stats`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::cache::{CacheStatistics, TierStatistics};
use turnpike_shared::errors::Problem;
use turnpike_shared::web::CacheTierObject;
use utoipa::ToSchema;

use crate::App;

/// How the cache of the stage has done in the last 24 hours.
#[derive(Serialize, ToSchema)]
pub(crate) struct StageCacheStats {
    /// From the nearest to the farthest.
    tiers: Vec<StageCacheTier>,
    /// The share of lookups that a tier answered, from 0 to 1; 0 if there were none.
    #[schema(example = 0.95)]
    hit_ratio: f64,
}

/// A tier, and what was asked of it.
#[derive(Serialize, ToSchema)]
struct StageCacheTier {
    #[serde(flatten)]
    tier: CacheTierObject,
    /// Lookups and fills that went without it, because it was away or too slow.
    #[schema(example = 0)]
    skipped: u64,
    /// Entries that were not read or not kept: of another version, damaged, or too large.
    #[schema(example = 0)]
    rejected: u64,
}

impl From<&TierStatistics> for StageCacheTier {
    fn from(tier: &TierStatistics) -> Self {
        Self {
            tier: CacheTierObject::from(tier),
            skipped: tier.counts.skipped,
            rejected: tier.counts.rejected,
        }
    }
}

impl From<&CacheStatistics> for StageCacheStats {
    fn from(stats: &CacheStatistics) -> Self {
        Self {
            tiers: stats.tiers.iter().map(StageCacheTier::from).collect(),
            hit_ratio: stats.hit_ratio,
        }
    }
}

/// Show how the cache does
///
/// What everybody's entries were asked for in the last 24 hours, over all instances, and which tiers
/// this instance reaches. It follows the requests by about a second.
#[utoipa::path(
    get, path = "/api/v1/admin/cache/stats", operation_id = "showCacheStatsOfAll", tag = "Administration",
    responses((status = 200, description = "The statistics", body = StageCacheStats)),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn stats(
    State(app): State<App>,
    _: Caller,
) -> Result<Json<StageCacheStats>, Problem> {
    let stats = app.cache().stats_of_all().await?;
    Ok(Json(StageCacheStats::from(&stats)))
}
