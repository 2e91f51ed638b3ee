//! How a version has done, from Cloud Monitoring.
//!
//! Source: <https://cloud.google.com/monitoring/api/metrics_gcp_a_b#gcp-aiplatform>. Points come once a minute and are a few
//! minutes late; what is not there yet is not there.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use millstream_events::names::ModelName;
use millstream_ports::{PortResult, ServingStats, optional};
use serde::{Deserialize, Deserializer};

use crate::api::{Api, Call, Host};

/// Vertex AI writes a point a minute: in less there is none, and Cloud Monitoring adds up no less.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);

/// Answers by their status code.
const RESPONSES: &str = "aiplatform.googleapis.com/prediction/online/response_count";

/// The time to answer.
const LATENCIES: &str = "aiplatform.googleapis.com/prediction/online/prediction_latencies";

/// What was answered, from the lines that `serve-model` logs.
const SCORES: &str = "logging.googleapis.com/user/millstream_prediction_score";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Series {
    metric: Metric,
    points: Vec<Point>,
    unit: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metric {
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Point {
    value: TypedValue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TypedValue {
    #[serde(deserialize_with = "number")]
    int64_value: u64,
    distribution_value: Distribution,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Distribution {
    #[serde(deserialize_with = "number")]
    count: u64,
    mean: f64,
    bucket_options: BucketOptions,
    #[serde(deserialize_with = "numbers")]
    bucket_counts: Vec<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BucketOptions {
    linear_buckets: Option<Linear>,
    exponential_buckets: Option<Exponential>,
    explicit_buckets: Option<Explicit>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Linear {
    width: f64,
    offset: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Exponential {
    growth_factor: f64,
    scale: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Explicit {
    bounds: Vec<f64>,
}

/// A 64-bit number, which JSON writes as text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

impl BucketOptions {
    /// The upper bound of a bucket, the first one being all below; `None` for the last, which has none.
    fn bound(&self, bucket: usize) -> Option<f64> {
        let at = bucket as f64;
        match self {
            Self { explicit_buckets: Some(explicit), .. } => explicit.bounds.get(bucket).copied(),
            Self { exponential_buckets: Some(exponential), .. } => {
                Some(exponential.scale * exponential.growth_factor.powf(at))
            }
            Self { linear_buckets: Some(linear), .. } => Some(linear.offset + linear.width * at),
            _ => None,
        }
    }
}

impl Distribution {
    /// What this share of the values is not above: as if a bucket's values lay evenly in it.
    fn quantile(&self, share: f64) -> Option<f64> {
        let total: u64 = self.bucket_counts.iter().sum();
        if total == 0 {
            return None;
        }
        let (wanted, mut below) = (share * total as f64, 0.0);
        for (bucket, count) in self.bucket_counts.iter().map(|count| *count as f64).enumerate() {
            if count > 0.0 && below + count >= wanted {
                let lower = bucket.checked_sub(1).and_then(|bucket| self.bucket_options.bound(bucket));
                let (lower, upper) = match (lower, self.bucket_options.bound(bucket)) {
                    (Some(lower), Some(upper)) => (lower, upper),
                    (None, Some(upper)) => (upper.min(0.0), upper),
                    (Some(lower), None) => (lower, lower),
                    (None, None) => return None,
                };
                return Some(lower + (upper - lower) * ((wanted - below) / count).clamp(0.0, 1.0));
            }
            below += count;
        }
        None
    }

    /// Both together; another layout of buckets is left out.
    fn and(mut self, other: &Self) -> Self {
        if self.bucket_counts.is_empty() {
            return other.clone();
        }
        if self.bucket_options == other.bucket_options {
            self.bucket_counts.resize(self.bucket_counts.len().max(other.bucket_counts.len()), 0);
            self.bucket_counts.iter_mut().zip(&other.bucket_counts).for_each(|(own, other)| *own += other);
        }
        self
    }
}

/// A metric over the time since the traffic moved.
struct Since<'a> {
    api: &'a Api,
    doing: String,
    endpoint: &'a ModelName,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Since<'_> {
    /// The metric's series for the endpoint, each added up to one point. A metric that does not exist has none.
    async fn series(&self, metric: &str, narrowed: &str) -> PortResult<Vec<Series>> {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let filter = format!(
            "metric.type=\"{metric}\" AND resource.type=\"aiplatform.googleapis.com/Endpoint\" AND \
             resource.labels.endpoint_id=\"{}\" AND {narrowed}",
            self.endpoint
        );
        let period = (self.now - self.since).num_seconds();
        let call = |token: Option<&str>| {
            let call = Call::get(format!("projects/{}/timeSeries", self.api.project()))
                .to(Host::Monitoring)
                .with("filter", filter.clone())
                .with("interval.startTime", time(self.since))
                .with("interval.endTime", time(self.now))
                .with("aggregation.alignmentPeriod", format!("{period}s"))
                .with("aggregation.perSeriesAligner", "ALIGN_DELTA");
            match token {
                Some(token) => call.with("pageToken", token),
                None => call,
            }
        };
        Ok(optional(self.api.pages(&self.doing, "timeSeries", call).await)?.unwrap_or_default())
    }
}

/// How a version, deployed under these ids, has done since then.
pub(super) async fn of(
    api: &Api,
    endpoint: &ModelName,
    version: u64,
    ids: &[String],
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> PortResult<ServingStats> {
    if ids.is_empty() || now - since < SHORTEST {
        return Ok(ServingStats::default());
    }
    let doing = format!("read how version {version} has done at the endpoint {endpoint}");
    let asked = Since { api, doing, endpoint, since, now };
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    let deployed = format!("metric.labels.deployed_model_id=one_of({})", ids.join(","));
    let (requests, errors) = counted(&asked.series(RESPONSES, &deployed).await?);
    let scored = format!("metric.labels.version=\"{version}\"");
    Ok(ServingStats {
        requests,
        errors,
        latency_p95_ms: p95(&asked.series(LATENCIES, &deployed).await?),
        mean_score: mean(&asked.series(SCORES, &scored).await?),
    })
}

/// All answers, and those that the model's side failed: the asker's own mistakes say nothing of a version.
fn counted(series: &[Series]) -> (u64, u64) {
    let count = |series: &Series| -> u64 { series.points.iter().map(|point| point.value.int64_value).sum() };
    let failed = |series: &&Series| series.metric.labels.get("response_code").is_some_and(|code| code.starts_with('5'));
    (series.iter().map(count).sum(), series.iter().filter(failed).map(count).sum())
}

/// In milliseconds. The platform's overhead is not the version's.
fn p95(series: &[Series]) -> Option<f64> {
    let of_model = |series: &&Series| series.metric.labels.get("latency_type").is_none_or(|kind| kind != "overhead");
    let of_model: Vec<&Series> = series.iter().filter(of_model).collect();
    let points = of_model.iter().flat_map(|series| &series.points);
    let all = points.fold(Distribution::default(), |all, point| all.and(&point.value.distribution_value));
    let milliseconds = match of_model.first().map(|series| series.unit.as_str()) {
        Some("s") => 1_000.0,
        Some("ms") => 1.0,
        _ => 0.001,
    };
    all.quantile(0.95).map(|value| value * milliseconds)
}

fn mean(series: &[Series]) -> Option<f64> {
    let points = series.iter().flat_map(|series| &series.points).map(|point| &point.value.distribution_value);
    let (sum, count) =
        points.fold((0.0, 0), |(sum, count), point| (sum + point.mean * point.count as f64, count + point.count));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn series(json: Value) -> Vec<Series> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn failures_are_those_of_the_models_side() {
        let of = |code: &str, count: &str| json!({"metric": {"labels": {"response_code": code}}, "points": [{"value": {"int64Value": count}}]});
        assert_eq!(
            counted(&series(json!([of("200", "90"), of("400", "6"), of("503", "3"), of("500", "1")]))),
            (100, 4)
        );
        assert_eq!(counted(&[]), (0, 0));
    }

    #[test]
    fn the_95th_percentile_comes_from_the_buckets() {
        let of = |kind: &str, options: Value, counts: Value, unit: &str| {
            let value = json!({"count": "20", "mean": 1.0, "bucketOptions": options, "bucketCounts": counts});
            json!({
                "metric": {"labels": {"latency_type": kind}}, "unit": unit,
                "points": [{"value": {"distributionValue": value}}]
            })
        };
        let explicit = || json!({"explicitBuckets": {"bounds": [1000.0, 2000.0, 4000.0]}});
        // 18 of 20 are below 2,000, the others between it and 4,000: the 19th is half way.
        let both = json!([
            of("model", explicit(), json!(["10", "8", "2"]), "us"),
            of("overhead", explicit(), json!(["0", "0", "0", "20"]), "us")
        ]);
        assert_eq!(p95(&series(both)), Some(3.0));
        let exponential = json!({"exponentialBuckets": {"numFiniteBuckets": 4, "growthFactor": 2.0, "scale": 1.0}});
        assert_eq!(p95(&series(json!([of("model", exponential, json!(["0", "0", "20"]), "ms")]))), Some(3.9));
        let linear = json!({"linearBuckets": {"numFiniteBuckets": 4, "width": 10.0, "offset": 0.0}});
        assert_eq!(p95(&series(json!([of("model", linear, json!(["0", "20"]), "ms")]))), Some(9.5));
        // Past the last bound nothing is known but that.
        assert_eq!(p95(&series(json!([of("model", explicit(), json!(["0", "0", "0", "20"]), "us")]))), Some(4.0));
        assert_eq!(p95(&[]), None);
    }

    #[test]
    fn the_mean_score_weighs_each_series_by_its_count() {
        let of = |mean: f64, count: &str| json!({"points": [{"value": {"distributionValue": {"count": count, "mean": mean}}}]});
        assert_eq!(mean(&series(json!([of(0.2, "30"), of(0.6, "10")]))), Some(0.3));
        assert_eq!(mean(&series(json!([of(0.0, "0")]))), None);
    }
}
