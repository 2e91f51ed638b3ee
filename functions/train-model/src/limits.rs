//! What a training may cost and how long it may run: pure.

use chrono::{DateTime, Utc};
use millstream_events::compute::{Compute, Cost};
use millstream_prices::{Book, PriceError};
use millstream_runtime::Failure;

/// Back-ends end a job at its wall limit themselves; one that has not done so by then never will.
const WALL_GRACE_SECONDS: u64 = 300;

/// A training's price, and whether it keeps within its limits.
#[derive(Debug, Clone)]
pub(crate) struct Limits<'a> {
    compute: &'a Compute,
    wall_seconds: u64,
    /// US dollars an hour; absent where nothing is paid or the price is not known.
    hourly_usd: Option<f64>,
    book: &'a Book,
}

impl<'a> Limits<'a> {
    /// The limits of a training on `compute`; refused when its estimate is above what it may cost.
    pub(crate) fn of(compute: &'a Compute, wall_seconds: u64, book: &'a Book) -> Result<Self, Failure> {
        let hourly_usd = match book.hourly(compute) {
            Ok(rate) => rate.map(|rate| rate.usd),
            Err(error) => unpriced(compute, &error)?,
        };
        let limits = Self { compute, wall_seconds, hourly_usd, book };
        match (limits.estimated_usd(), compute.max_cost_usd) {
            (Some(estimate), Some(most)) if estimate > most => Err(Failure::permanent(format!(
                "limits.cost_usd: {} s of this are estimated at {estimate:.2} USD by the price book {}, and it may cost \
                 {most:.2}; nothing was started. Raise the limit, lower limits.expected or limits.wall, or take a smaller machine",
                limits.expected_seconds(),
                book.name,
            ))),
            _ => Ok(limits),
        }
    }

    fn expected_seconds(&self) -> u64 {
        self.compute.expected_seconds.unwrap_or(self.wall_seconds)
    }

    /// For the time that it is expected to run.
    pub(crate) fn estimated_usd(&self) -> Option<f64> {
        self.hourly_usd.map(|hourly| hourly * self.expected_seconds() as f64 / 3_600.0)
    }

    /// Why a job that has been running since then is to be ended.
    pub(crate) fn exceeded(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
        let seconds = (now - since).num_seconds().max(0);
        let spent = self.hourly_usd.map(|hourly| hourly * seconds as f64 / 3_600.0);
        if let (Some(spent), Some(most)) = (spent, self.compute.max_cost_usd)
            && spent > most
        {
            return Some(format!(
                "it was ended after {seconds} s: it has cost {spent:.2} USD and may cost {most:.2} (limits.cost_usd)"
            ));
        }
        let wall = self.wall_seconds.saturating_add(WALL_GRACE_SECONDS);
        (seconds.unsigned_abs() > wall).then(|| {
            format!("it was ended after {seconds} s, past its wall limit of {} s (limits.wall)", self.wall_seconds)
        })
    }

    /// What a job that ran so long has cost.
    pub(crate) fn cost(&self, seconds: f64) -> Option<Cost> {
        self.hourly_usd.map(|hourly| Cost {
            estimated_usd: self.estimated_usd(),
            usd: hourly * seconds / 3_600.0,
            book: self.book.name.clone(),
        })
    }
}

/// Without a price a limit in dollars cannot be kept, and then nothing is started.
fn unpriced(compute: &Compute, error: &PriceError) -> Result<Option<f64>, Failure> {
    if compute.max_cost_usd.is_some() {
        return Err(Failure::permanent(format!("limits.cost_usd: {error}; nothing was started")));
    }
    tracing::warn!(%error, "what this training costs is not known");
    Ok(None)
}

#[cfg(test)]
mod tests {
    use millstream_events::compute::{Accelerator, GpuType, RunOn};

    use super::*;

    fn book() -> Book {
        Book::open("list-2026-07").unwrap()
    }

    /// One node with an L4 on Vertex AI: a g2-standard-4, 0.706832 USD an hour and 15 % more.
    fn on_vertex(max_cost_usd: Option<f64>) -> Compute {
        Compute {
            run_on: RunOn::Vertex,
            accelerator: Some(Accelerator { gpu: GpuType::L4, count: 1 }),
            max_cost_usd,
            ..Compute::default()
        }
    }

    const HOURLY: f64 = 0.706_832 * 1.15;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_estimate_above_the_limit_is_refused_and_names_it() {
        let (compute, book) = (on_vertex(Some(1.0)), book());
        let refused = Limits::of(&compute, 2 * 3_600, &book).unwrap_err().to_string();
        assert!(refused.starts_with("limits.cost_usd: 7200 s") && refused.contains("1.63 USD"), "{refused}");
        let expected = Compute { expected_seconds: Some(3_600), ..compute };
        let estimate = Limits::of(&expected, 2 * 3_600, &book).unwrap().estimated_usd().unwrap();
        assert!((estimate - HOURLY).abs() < 1e-9, "{estimate}");
    }

    #[test]
    fn what_has_run_for_too_much_or_too_long_is_to_be_ended() {
        let (compute, book) = (Compute { expected_seconds: Some(60), ..on_vertex(Some(1.0)) }, book());
        let limits = Limits::of(&compute, 3_600, &book).unwrap();
        let since = at("2026-01-01T00:00:00Z");
        assert_eq!(limits.exceeded(since, at("2026-01-01T01:04:00Z")), None);
        let long = limits.exceeded(since, at("2026-01-01T01:06:00Z")).unwrap();
        assert!(long.contains("limits.wall"), "{long}");
        let dear = limits.exceeded(since, at("2026-01-01T01:20:00Z")).unwrap();
        assert!(dear.contains("1.08 USD and may cost 1.00 (limits.cost_usd)"), "{dear}");
        assert_eq!(limits.exceeded(since, at("2025-12-31T00:00:00Z")), None, "clocks differ");
    }

    #[test]
    fn what_ran_has_its_cost_and_its_estimate() {
        let (compute, book) = (on_vertex(None), book());
        let cost = Limits::of(&compute, 7_200, &book).unwrap().cost(1_800.0).unwrap();
        assert!((cost.usd - HOURLY / 2.0).abs() < 1e-9 && cost.book == "list-2026-07", "{cost:?}");
        assert!((cost.estimated_usd.unwrap() - HOURLY * 2.0).abs() < 1e-9, "{cost:?}");
        let here = Compute::default();
        assert_eq!(Limits::of(&here, 60, &book).unwrap().cost(60.0), None);
    }

    #[test]
    fn without_a_price_a_limit_in_dollars_is_refused_and_a_training_without_one_goes_on() {
        let unheard = |max_cost_usd| Compute { machine: Some("z9-standard-4".into()), ..on_vertex(max_cost_usd) };
        let book = book();
        let refused = Limits::of(&unheard(Some(5.0)), 60, &book).unwrap_err().to_string();
        assert!(refused.contains("limits.cost_usd") && refused.contains("z9-standard-4"), "{refused}");
        let compute = unheard(None);
        assert_eq!(Limits::of(&compute, 60, &book).unwrap().cost(60.0), None);
    }
}
