//! Usage, as the API asks for it and shows it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::clock::Timestamp;
use crate::errors::{FieldError, Problem};
use crate::usage::{
    Bucket, Granularity, GroupBy, InvalidRange, Range, StageReport, Tally, UserReport,
};

/// Which usage of one's own is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// The first moment; left out: 24 hours before the end by the hour, 30 days by the day.
    #[param(format = DateTime, example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// The first moment that does not belong to it any more; left out: the end of the hour or day that
    /// it is now.
    #[param(format = DateTime, example = "2026-12-01T00:00:00Z")]
    to: Option<String>,
    /// How finely the series is cut. Hours are kept for 35 days, and at most 31 days are shown at a time;
    /// days are kept for 400, and at most 366 are shown.
    #[param(pattern = "^(hour|day)$", example = "day")]
    granularity: Option<String>,
}

impl UsageQuery {
    /// The range that is asked about; a day's, if nothing is said of its granularity.
    pub fn range(&self, now: Timestamp) -> Result<Range, Problem> {
        let granularity = match self.granularity.as_deref() {
            Some("hour") => Ok(Granularity::Hour),
            Some("day") | None => Ok(Granularity::Day),
            Some(_) => Err(one_of("granularity", "hour and day")),
        };
        let ends = Ends::parse(self.from.as_deref(), self.to.as_deref());
        let (ends, granularity) = both(ends, granularity)?;
        let range = Range::new(ends.from, ends.to, granularity, now);
        range.map_err(|invalid| ends.problem_of(invalid))
    }
}

/// Which usage of the stage is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StageUsageQuery {
    /// The first moment; left out: 24 hours before the end, or 30 days where days are grouped by.
    #[param(format = DateTime, example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// The first moment that does not belong to it any more; left out: now.
    #[param(format = DateTime, example = "2026-12-01T00:00:00Z")]
    to: Option<String>,
    /// What the groups are.
    #[param(pattern = "^(tier|endpoint|day)$", example = "tier")]
    group_by: Option<String>,
}

impl StageUsageQuery {
    /// The range that is asked about, and what it is grouped by: days, if nothing is said of it.
    pub fn parse(&self, now: Timestamp) -> Result<(Range, GroupBy), Problem> {
        let group_by = match self.group_by.as_deref() {
            Some("tier") => Ok(GroupBy::Tier),
            Some("endpoint") => Ok(GroupBy::Endpoint),
            Some("day") | None => Ok(GroupBy::Day),
            Some(_) => Err(one_of("group_by", "tier, endpoint and day")),
        };
        let ends = Ends::parse(self.from.as_deref(), self.to.as_deref());
        let (ends, group_by) = both(ends, group_by)?;
        let range = match group_by {
            GroupBy::Day => Range::new(ends.from, ends.to, Granularity::Day, now),
            GroupBy::Tier | GroupBy::Endpoint => Range::as_fine_as_kept(ends.from, ends.to, now),
        };
        let range = range.map_err(|invalid| ends.problem_of(invalid))?;
        Ok((range, group_by))
    }
}

fn one_of(field: &str, choices: &str) -> FieldError {
    FieldError::new(field, "invalid", format!("It is one of {choices}."))
}

fn both<T>(
    ends: Result<Ends, Vec<FieldError>>,
    choice: Result<T, FieldError>,
) -> Result<(Ends, T), Problem> {
    match (ends, choice) {
        (Ok(ends), Ok(choice)) => Ok((ends, choice)),
        (ends, choice) => {
            let mut errors = ends.err().unwrap_or_default();
            errors.extend(choice.err());
            Err(Problem::validation(errors))
        }
    }
}

/// The ends of a range, as far as they are given.
struct Ends {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Ends {
    fn parse(from: Option<&str>, to: Option<&str>) -> Result<Self, Vec<FieldError>> {
        let moment = |field: &str, text: Option<&str>| {
            let parsed = text.map(str::parse::<Timestamp>).transpose();
            parsed.map_err(|_| {
                let detail = "It is no time by RFC 3339, such as 2026-11-20T00:00:00Z.";
                FieldError::new(field, "invalid", detail)
            })
        };
        match (moment("from", from), moment("to", to)) {
            (Ok(from), Ok(to)) => Ok(Self { from, to }),
            (from, to) => Err(from.err().into_iter().chain(to.err()).collect()),
        }
    }

    /// What is wrong is told of the end that was given.
    fn problem_of(&self, invalid: InvalidRange) -> Problem {
        let field = if self.from.is_none() { "to" } else { "from" };
        let detail = format!("This cannot be shown: {invalid}.");
        Problem::validation(vec![FieldError::new(field, "out-of-range", detail)])
    }
}

/// What a user asked for, and how it was answered.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageBody {
    /// The range that is shown: whole hours or days, those that were asked about in part among them.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The requests that were let in.
    #[schema(example = 142)]
    total: u64,
    /// What they counted against limits and quota, as recorded with them.
    #[schema(example = 142)]
    charged: u64,
    /// The most used first.
    by_endpoint: Vec<EndpointCount>,
    by_status: Vec<StatusCount>,
    /// Every hour or day of the range.
    series: Vec<UsageOfBucket>,
}

#[derive(Serialize, ToSchema)]
struct EndpointCount {
    #[schema(example = "GET")]
    method: String,
    /// The route's template.
    #[schema(example = "/api/v1/users/api-keys/{id}")]
    path: String,
    #[schema(example = 17)]
    count: u64,
}

#[derive(Serialize, ToSchema)]
struct StatusCount {
    #[schema(example = 200)]
    status: u16,
    #[schema(example = 17)]
    count: u64,
}

/// An hour or a day.
#[derive(Serialize, ToSchema)]
struct UsageOfBucket {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[schema(example = 17)]
    count: u64,
    /// Answers with a status of 500 or above.
    #[schema(example = 0)]
    errors: u64,
    /// The time within which half of the requests were answered, at most 3.2 % off; null if there
    /// were none.
    #[schema(required, example = 12)]
    p50_ms: Option<u32>,
    /// The same of 95 in a hundred.
    #[schema(required, example = 48)]
    p95_ms: Option<u32>,
}

impl From<(&Bucket, &Tally)> for UsageOfBucket {
    fn from((bucket, tally): (&Bucket, &Tally)) -> Self {
        Self {
            start: bucket.start(),
            count: tally.count(),
            errors: tally.errors,
            p50_ms: tally.latency.percentile(50),
            p95_ms: tally.latency.percentile(95),
        }
    }
}

impl From<&UserReport> for UsageBody {
    fn from(report: &UserReport) -> Self {
        let usage = &report.total;
        let endpoints = usage
            .endpoints
            .iter()
            .map(|(endpoint, count)| EndpointCount {
                method: endpoint.method.clone(),
                path: endpoint.path.clone(),
                count: *count,
            });
        let mut by_endpoint: Vec<EndpointCount> = endpoints.collect();
        by_endpoint.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.count));
        let statuses = usage.statuses.iter().map(|(status, count)| StatusCount {
            status: *status,
            count: *count,
        });
        Self {
            from: report.range.start(),
            to: report.range.end(),
            total: usage.total.count(),
            charged: usage.total.charged,
            by_endpoint,
            by_status: statuses.collect(),
            series: report.series.iter().map(UsageOfBucket::from).collect(),
        }
    }
}

/// What everybody asked for, and how it was answered.
#[derive(Serialize, ToSchema)]
#[schema(as = StageUsage)]
pub struct StageUsageBody {
    /// The range that is shown: whole hours where three days or less are asked about that are not long
    /// gone, and whole days else.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The requests that were let in.
    #[schema(example = 142)]
    total: u64,
    /// Every day in its order, or the tiers or endpoints with the most used first.
    groups: Vec<UsageOfGroup>,
}

#[derive(Serialize, ToSchema)]
struct UsageOfGroup {
    /// A tier, an endpoint such as `GET /api/v1/users/me`, or a day such as `2026-11-20`. Routes that are
    /// open to everybody count in the tier `anonymous`.
    #[schema(example = "free")]
    key: String,
    #[schema(example = 17)]
    count: u64,
    /// Answers with a status of 500 or above.
    #[schema(example = 0)]
    errors: u64,
    /// The time within which 95 in a hundred requests were answered, at most 3.2 % off; null if there
    /// were none.
    #[schema(required, example = 48)]
    p95_ms: Option<u32>,
}

impl From<&StageReport> for StageUsageBody {
    fn from(report: &StageReport) -> Self {
        let groups = report.groups().into_iter();
        Self {
            from: report.range.start(),
            to: report.range.end(),
            total: report.total.count(),
            groups: groups
                .map(|(key, tally)| UsageOfGroup {
                    key: key.to_owned(),
                    count: tally.count(),
                    errors: tally.errors,
                    p95_ms: tally.latency.percentile(95),
                })
                .collect(),
        }
    }
}
