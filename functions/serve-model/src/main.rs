//! `serve-model`: the prediction container.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use millstream_serve_model::{Lines, ModelState, Settings, load, router};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::fmt::format::JsonFields;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().fmt_fields(JsonFields::new()).event_format(Lines).with_writer(std::io::stderr).init();
    let settings = Settings::parse();
    settings.check_routes()?;
    let location = settings.location()?;
    // Before the model is there: Vertex AI starts a container anew whose port takes no connection for 40 seconds. Its requests wait.
    let listener =
        TcpListener::bind(("0.0.0.0", settings.port)).await.with_context(|| format!("port {}", settings.port))?;
    let state = Arc::new(ModelState::new(load(location, &settings).await?, &settings)?);
    tracing::info!(address = %listener.local_addr()?, model = settings.storage_uri, "serving");
    let app = router(Arc::clone(&state), &settings);
    if settings.score_log_seconds > 0 {
        tokio::spawn(log_scores(Arc::clone(&state), Duration::from_secs(settings.score_log_seconds)));
    }
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: requests in flight are answered first");
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    state.log_score();
    Ok(())
}

async fn log_scores(state: Arc<ModelState>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        state.log_score();
    }
}
