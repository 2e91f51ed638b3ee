//! `serve-model`: the prediction container.

use anyhow::Context;
use clap::Parser;
use millstream_scoring::Model;
use millstream_serve_model::{ModelState, Settings, router};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
    let settings = Settings::parse();
    settings.check_routes()?;
    let folder = settings.model_folder()?;
    let model = Model::load(&folder).with_context(|| format!("cannot load the model of {}", folder.display()))?;
    let app = router(ModelState::new(model, None)?, &settings);
    let listener =
        TcpListener::bind(("0.0.0.0", settings.port)).await.with_context(|| format!("port {}", settings.port))?;
    tracing::info!(address = %listener.local_addr()?, model = %folder.display(), "serving");
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: requests in flight are answered first");
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}
