//! `millstream serve FUNCTION`: one function as a service on Google Cloud.
//!
//! In: events over HTTP, from Pub/Sub's push subscriptions, Eventarc and Cloud Scheduler, each with a token that says who
//! sends it. Out: facts and commands on the events topic. What it is connected to follows from the function.

mod functions;
pub(crate) mod map;
#[cfg(feature = "embedded")]
mod models;
mod planner;
mod reach;
mod role;

use std::sync::Arc;

use anyhow::Context;
use millstream_gcp_client::{Connection, Emulators};
use millstream_ports::{Clock, SystemClock};
use millstream_runtime::{
    Metrics,
    auth::{Authenticate, oidc::Verifier},
    host::{self, DRAIN, Host, Readiness, RequestLimits},
    settings::Log,
    telemetry::{self, Process},
};
use tokio::net::TcpListener;

#[cfg(feature = "embedded")]
pub(crate) use self::models::models;
pub(crate) use self::{reach::reach, role::Role};
use crate::project::Project;

/// Serves until SIGTERM.
pub(crate) async fn run(project: Project, role: Role, log: &Log) -> anyhow::Result<()> {
    let stop = host::shutdown_signal()?;
    let settings = project.settings.clone();
    let gcp = settings.gcp()?;
    let telemetry = telemetry::init_process(log, &Process::of_service(role.declaration().name, &gcp.project))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let callers: Option<Arc<dyn Authenticate>> = match settings.callers()? {
        Some(auth) => Some(Arc::new(Verifier::new(auth, clock.clone())?)),
        None => {
            tracing::warn!("auth.require is off: whoever reaches this process may deliver events");
            None
        }
    };
    let wanted = settings.serving_address()?;
    let listener = TcpListener::bind(wanted).await.with_context(|| format!("cannot listen on {wanted}"))?;
    tracing::info!(function = role.declaration().name, address = %listener.local_addr()?, "listening");

    let connection = Connection::new(&gcp.project, emulators())?;
    let cloud = functions::Cloud::connect(project, gcp, connection, clock.clone()).await?;
    let readiness = Readiness::default();
    let router = host::router(
        Host {
            handlers: Arc::new([cloud.function(role).await?]),
            metrics: Metrics::new()?,
            clock,
            readiness: readiness.clone(),
            callers,
        },
        RequestLimits::from(&settings.http),
    );
    readiness.set(true);
    let (asked, not_ready) = (stop.clone(), readiness);
    let until = async move {
        asked.cancelled().await;
        not_ready.set(false);
    };
    let drained = host::serve(listener, router, until, DRAIN).await.context("the listener failed")?;
    if drained.cut_off > 0 {
        tracing::warn!(requests = drained.cut_off, "cut off; their senders deliver them again");
    }
    telemetry.shutdown().await;
    Ok(())
}

/// Emulators that the environment names, as Google's own tools read it.
fn emulators() -> Emulators {
    Emulators::from_variables(std::env::vars())
}
