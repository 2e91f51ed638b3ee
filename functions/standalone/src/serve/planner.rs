//! `plan-run` as a service: its pipeline files are a folder, usually a bucket that Cloud Run mounts, and may change while it
//! runs. Each sweep reads them again.

use std::time::Duration;

use async_trait::async_trait;
use millstream_events::{Envelope, Event};
use millstream_pipeline::{Pipelines, spec::Diagnostics};
use millstream_plan_run::{PlanRun, Ports};
use millstream_runtime::{Ack, Handler};

use crate::{project::Project, wiring};

/// A notification that Pub/Sub never got is made good for after this long at most.
const SURVEY: Duration = Duration::from_secs(15 * 60);

/// `plan-run` over the pipelines of a project, as they are at each sweep.
pub(super) struct Planner {
    project: Project,
    inner: PlanRun,
}

impl Planner {
    pub(super) fn new(project: Project, ports: Ports) -> Result<Self, Diagnostics> {
        let pipelines = load(&project)?;
        Ok(Self { project, inner: PlanRun::new(pipelines, ports).surveying_every(SURVEY) })
    }
}

/// BigQuery reads files itself where their contract lets it.
fn load(project: &Project) -> Result<Pipelines, Diagnostics> {
    project.load_pipelines().map(|pipelines| Pipelines { direct_loads: true, ..pipelines })
}

#[async_trait]
impl Handler for Planner {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn takes(&self, event_type: &str) -> bool {
        self.inner.takes(event_type)
    }

    async fn handle(&self, delivery: &Envelope) -> Ack {
        if matches!(delivery.event, Event::SweepDue(_)) {
            let project = self.project.clone();
            wiring::reload(&self.inner, move || load(&project)).await;
        }
        self.inner.handle(delivery).await
    }
}
