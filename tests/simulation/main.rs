//! The whole platform on in-memory ports under a seeded scheduler that duplicates, delays, reorders and loses messages, fails
//! calls before or after their effect, and kills the process at any port call.
//!
//! After each seed, with the faults switched off, every run must end well, every effect must have happened once, and what
//! the platform then holds must equal what an undisturbed platform holds after the same uploads.
//!
//! `MILLSTREAM_SEEDS=100000` runs more seeds; `MILLSTREAM_SEED=17` runs one and prints its steps.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "a failing seed's steps are for the person who runs it")]
#![allow(clippy::disallowed_methods, reason = "a test has no settings file")]

mod canary;
mod durable;
mod faults;
mod mutations;
mod random;
mod simulation;

use mutations::Mutation;
use simulation::{Outcome, simulate};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// Runs seeds on all cores; returns the first that breaks a rule, by seed.
fn first_failure(seeds: std::ops::Range<u64>, mutation: Option<Mutation>) -> Option<(u64, String)> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let failures = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let seeds = seeds.clone();
                scope.spawn(move || {
                    seeds.filter(|seed| seed % workers == worker).find_map(|seed| {
                        match simulate(seed, mutation, false) {
                            Outcome::Right => None,
                            Outcome::Wrong(why) => Some((seed, why)),
                        }
                    })
                })
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    failures.into_iter().min()
}

#[test]
fn every_seed_ends_right_and_has_each_effect_once() {
    if let Some(seed) = number("MILLSTREAM_SEED") {
        if let Outcome::Wrong(why) = simulate(seed, None, true) {
            panic!("seed {seed}: {why}");
        }
        return;
    }
    let seeds = number("MILLSTREAM_SEEDS").unwrap_or(1_000);
    if let Some((seed, why)) = first_failure(0..seeds, None) {
        panic!("seed {seed}: {why}\nRun it again with MILLSTREAM_SEED={seed} to see its steps.");
    }
    println!("{seeds} seeds ended right");
}

/// The simulation must be able to fail: each planted mistake is caught by some seed.
fn is_caught(mutation: Mutation) {
    let (seed, why) = first_failure(0..300, Some(mutation)).unwrap_or_else(|| panic!("{mutation:?} was not caught"));
    println!("{mutation:?} is caught by seed {seed}: {why}");
}

#[test]
fn jobs_named_by_the_delivery_instead_of_by_content_are_caught() {
    is_caught(Mutation::JobsNamedByDelivery);
}

#[test]
fn acknowledging_before_the_effect_without_a_sweep_is_caught() {
    is_caught(Mutation::EarlyAcknowledgement);
}

#[test]
fn a_sweep_that_does_not_ask_again_is_caught() {
    is_caught(Mutation::NoSweep);
}

#[test]
fn a_ledger_that_answers_for_facts_it_has_not_kept_is_caught() {
    is_caught(Mutation::RecordsForgotten);
}

#[test]
fn a_canary_whose_failures_nobody_sees_is_caught() {
    is_caught(Mutation::CanaryUnwatched);
}
