//! `/api/v1/preferences`: the caller's own, and how they are read and shown.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod replace;
pub(crate) mod show;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::Problem;
use turnpike_shared::preferences::{
    DEPTHS, KeptPreferences, MAX_MAP_BYTES, Preferences, TOLERANCES,
};
use utoipa::ToSchema;

use crate::fields::{Errors, json, within};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreferencesRequest {
    /// What the user prefers by topic; at most 16 KiB.
    #[schema(value_type = Object, example = json!({"geology": 0.9, "history": 0.4}))]
    topic_preferences: Map<String, Value>,
    #[schema(minimum = 1, maximum = 6, example = 3)]
    depth_preference: i64,
    #[schema(minimum = 1, maximum = 5, example = 2)]
    surprise_tolerance: i64,
    /// What the user prefers by context; at most 16 KiB.
    #[schema(value_type = Object, example = json!({"commuting": {"length": "short"}}))]
    contextual_preferences: Map<String, Value>,
}

impl PreferencesRequest {
    fn parse(self) -> Result<Preferences, Problem> {
        let mut errors = Errors::default();
        let topics = errors.one(json(
            "topic_preferences",
            self.topic_preferences,
            MAX_MAP_BYTES,
        ));
        let depth = errors.one(within(
            "depth_preference",
            self.depth_preference,
            *DEPTHS.start(),
            *DEPTHS.end(),
            "The depth is 1 to 6.",
        ));
        let tolerance = errors.one(within(
            "surprise_tolerance",
            self.surprise_tolerance,
            *TOLERANCES.start(),
            *TOLERANCES.end(),
            "The tolerance is 1 to 5.",
        ));
        let contexts = errors.one(json(
            "contextual_preferences",
            self.contextual_preferences,
            MAX_MAP_BYTES,
        ));
        match (topics, depth, tolerance, contexts) {
            (Some(topics), Some(depth), Some(tolerance), Some(contexts)) => Ok(Preferences {
                topic_preferences: topics,
                depth_preference: depth,
                surprise_tolerance: tolerance,
                contextual_preferences: contexts,
            }),
            _ => Err(errors.into_problem()),
        }
    }
}

/// What a user prefers.
#[derive(Serialize, ToSchema)]
#[schema(as = Preferences)]
pub(crate) struct PreferencesObject {
    #[schema(value_type = Object)]
    topic_preferences: Map<String, Value>,
    #[schema(minimum = 1, maximum = 6)]
    depth_preference: u64,
    #[schema(minimum = 1, maximum = 5)]
    surprise_tolerance: u64,
    #[schema(value_type = Object)]
    contextual_preferences: Map<String, Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PreferencesAnswer)]
pub(crate) struct PreferencesBody {
    preferences: PreferencesObject,
}

impl From<KeptPreferences> for PreferencesBody {
    fn from(kept: KeptPreferences) -> Self {
        let preferences = kept.preferences;
        Self {
            preferences: PreferencesObject {
                topic_preferences: preferences.topic_preferences,
                depth_preference: preferences.depth_preference,
                surprise_tolerance: preferences.surprise_tolerance,
                contextual_preferences: preferences.contextual_preferences,
                created_at: kept.created_at,
                updated_at: kept.updated_at,
            },
        }
    }
}
