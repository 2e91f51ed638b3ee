//! `millstream doctor`: whether a deployed environment is wired as its functions declare, link by link, and whether an event
//! goes through it.
//!
//! In: the settings of an environment. Out: a [`Report`] with a finding for each link. It reads, and it sends one test event
//! (see `millstream_events::probe`), which it removes again. What cannot be seen from here, because a peer has no such thing or the
//! caller may not look, is a state of its own and never taken for well.

mod buckets;
mod datasets;
mod event;
mod functions;
mod google;
mod grants;
mod report;
mod schedule;
mod subscriptions;
mod training;
mod uploads;

use std::{sync::Arc, time::Duration};

use millstream_gcp_client::{Connection, Emulators};
use millstream_gcp_storage::GcsObjectStore;
use millstream_ports::{Clock, SystemClock};
use millstream_runtime::{Settings, settings::Gcp};

pub(crate) use self::report::{Finding, Report, State};
use self::{google::Google, grants::Grants};
use crate::project::Project;

/// What is asked of the doctor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Examination {
    /// The longest that one hop of the test event may take, and one answer of a service.
    pub(crate) patience: Duration,
    /// Whether to send a test event at all.
    pub(crate) with_event: bool,
}

/// What every part of the examination looks at.
struct Patient<'a> {
    settings: &'a Settings,
    gcp: &'a Gcp,
    google: Google,
}

/// Examines the environment of a project's settings.
pub(crate) async fn examine(project: &Project, asked: Examination) -> anyhow::Result<Report> {
    let settings = &project.settings;
    let gcp = settings.gcp()?;
    let connection = Connection::new(&gcp.project, Emulators::from_variables(std::env::vars()))?;
    let google = Google::new(connection.clone(), asked.patience)?;
    let patient = Patient { settings, gcp: &gcp, google };
    let mut report = Report::new(&settings.environment, &gcp.project);

    let found = buckets::examine(&patient, &mut report).await;
    datasets::examine(&patient, &mut report).await;
    let mut grants = Grants::new(found.project_number.clone());
    let mut endpoints = subscriptions::examine(&patient, &mut grants, &mut report).await;
    endpoints.extend(uploads::examine(&patient, &found, &mut grants, &mut report).await);
    functions::examine(&patient, &found, &endpoints, &mut report).await;
    schedule::examine(&patient, &endpoints, &mut report).await;
    training::examine(&patient, &found, &mut report).await;
    if asked.with_event {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(GcsObjectStore::connect(&connection).await?);
        event::Test::new(settings, store, clock, asked.patience).run(&mut report).await;
    }
    Ok(report)
}
