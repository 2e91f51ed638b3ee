//! `millstream up`: the long-running form.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use millstream_runtime::host;
use serde_json::json;
use tokio::net::TcpListener;

use super::Ended;
use crate::{
    api::http,
    platform::{
        Background, Platform,
        lock::{self, Address, Claim},
    },
    project::Project,
    render,
};

/// How long requests in hand may go on after a signal; connections that stay open longer (an event stream) are cut.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn run(project: Project, as_json: bool) -> anyhow::Result<Ended> {
    let pipelines = project.load_pipelines()?;
    let data = project.settings.data_dir.clone();
    let lock = match lock::claim(&data)? {
        Claim::Ours(lock) => lock,
        Claim::Running(other) => anyhow::bail!(
            "the platform of this project runs already: process {} answers at http://{}",
            other.pid,
            other.address
        ),
    };
    let wanted = project.settings.http.address;
    let listener = TcpListener::bind(wanted)
        .await
        .with_context(|| format!("cannot listen on {wanted}; choose another with http.address or --address"))?;
    let address = Address { address: listener.local_addr()?, pid: std::process::id(), token: lock::new_token()? };
    let landing = project.landing_folder();

    let stop = host::shutdown_signal()?;
    let platform = Arc::new(Platform::open(project, pipelines, lock).await?);
    let router = http::router(&platform, address.address, &address.token);
    let tasks = platform.start(Background::Everything).await?;
    lock::announce(&data, &address)?;
    let names: Vec<String> = platform.planner.pipelines().by_name.keys().map(ToString::to_string).collect();
    if as_json {
        render::json_line(&json!({"landing": landing, "address": address.address, "pipelines": names}));
    } else {
        render::line(&format!("Drop files into  {}", landing.display()));
        render::line(&format!("Listening on     http://{}", address.address));
        let named = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        render::line(&format!("Pipelines        {named}"));
    }

    let served = host::serve(listener, router, async move { stop.cancelled().await }, PATIENCE).await;
    lock::forget(&data)?;
    platform.stop(tasks).await?;
    served.context("the listener failed")?;
    Ok(Ended::Well)
}
