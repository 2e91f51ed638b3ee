//! `kill -9` on the real process at random moments, while files are uploaded, ingested, loaded, transformed, exported, learned
//! from and promoted. After each round the platform is left alone, and what it then holds must equal what a platform holds
//! that nobody disturbed: nothing lost, nothing doubled.
//!
//! `MILLSTREAM_KILL_ROUNDS=200` kills for longer; `MILLSTREAM_KILL_SEED=17` runs that round alone. A seed fixes what is done
//! and when, not how the operating system interleaves it: a failing one may need several tries.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "the seeds are for the person who runs it")]
#![allow(clippy::disallowed_methods, reason = "a test has no settings file")]

mod disturbance;
mod holdings;
#[path = "../simulation/random.rs"]
mod random;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Mutex,
};

use millstream_tests::up::{Project, Up, demo_uploads};

use disturbance::Kills;
use holdings::{Holdings, first_difference};
use random::Random;

/// One thread: a table without an ORDER BY then has one order, so that the same rows train the same model. The shortest
/// sweep: rounds would otherwise wait for it.
const SETTINGS: &str = "sweep_seconds = 1\n[warehouse]\nthreads = 1\n";

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

fn project() -> Project {
    Project::new(SETTINGS, &[&Path::new(env!("CARGO_MANIFEST_DIR")).join("kill/pipelines")])
}

/// Every upload of a round: the demo's, and some that are appended, of which two rows go to quarantine.
fn uploads() -> Vec<(String, Vec<u8>)> {
    let mut uploads = demo_uploads();
    for hour in 0..4 {
        let rows = (0..400).map(|at| format!("{},/page-{},{}.5\n", hour * 100 + at % 250, (at + hour) % 7, at % 60));
        let mut text: String = std::iter::once("visitor,page,seconds\n".to_owned()).chain(rows).collect();
        if hour % 2 == 0 {
            text.push_str("nobody,/page-1,1.5\n");
        }
        uploads.push((format!("visits/{hour:02}.csv"), text.into_bytes()));
    }
    uploads
}

/// What a platform holds after the uploads, once it has come to rest.
fn settle(project: &Project, uploads: &[(String, Vec<u8>)]) -> Holdings {
    let mut up = Up::start(project);
    let names: Vec<&str> = uploads.iter().map(|(name, _)| name.as_str()).collect();
    up.wait_until_settled(&names);
    holdings::of(project, &mut up)
}

/// One round: how the platform was killed, or what differs.
fn round(seed: u64, expected: &Holdings) -> Result<Kills, String> {
    let project = project();
    let disturb_and_settle = || {
        let mut uploads = uploads();
        let kills = disturbance::disturb(&project, &mut uploads, &mut Random::new(seed));
        (kills, settle(&project, &uploads))
    };
    // A panic of a round must name its seed.
    match catch_unwind(AssertUnwindSafe(disturb_and_settle)) {
        Ok((kills, held)) => match first_difference(&held, expected) {
            None => Ok(kills),
            Some(why) => Err(format!("{why}\n{}", project.log())),
        },
        Err(panic) => Err(panic.downcast::<String>().map_or_else(|_| "it panicked".to_owned(), |message| *message)),
    }
}

#[test]
fn killed_at_any_moment_the_platform_ends_with_what_an_undisturbed_one_holds() {
    let undisturbed = project();
    let (last, all_but_last) = uploads().split_last().map(|(last, rest)| (last.clone(), rest.to_vec())).unwrap();
    for (name, content) in &all_but_last {
        undisturbed.upload(name, content);
    }
    let without_the_last = settle(&undisturbed, &all_but_last);
    undisturbed.upload(&last.0, &last.1);
    let expected = settle(&undisturbed, &uploads());
    let told = first_difference(&without_the_last, &expected);
    assert!(told.is_some(), "the comparison does not see that a file is missing: it would not see a loss");

    let seeds = match number("MILLSTREAM_KILL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MILLSTREAM_KILL_ROUNDS").unwrap_or(20),
    };
    let left = Mutex::new(seeds.clone());
    let ended = Mutex::new(Vec::new());
    // Rounds wait for processes most of the time: one more than there are processors keeps these busy.
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4) + 1;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(seed) = { left.lock().unwrap().next() } {
                    let result = round(seed, &expected);
                    ended.lock().unwrap().push((seed, result));
                }
            });
        }
    });
    let ended = ended.into_inner().unwrap();
    let failures: Vec<(u64, &String)> =
        ended.iter().filter_map(|(seed, result)| Some((*seed, result.as_ref().err()?))).collect();
    if let Some((seed, why)) = failures.first() {
        let failed: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
        panic!("rounds {failed:?} of {seeds:?} ended wrong. Round {seed} (MILLSTREAM_KILL_SEED={seed}): {why}");
    }
    let kills = || ended.iter().filter_map(|(_, result)| result.as_ref().ok());
    println!(
        "rounds {seeds:?} ended right after {} kills, {} of them while runs were open, {} with training programs",
        kills().map(|kills| kills.all).sum::<usize>(),
        kills().map(|kills| kills.at_work).sum::<usize>(),
        kills().map(|kills| kills.with_training).sum::<usize>()
    );
}
