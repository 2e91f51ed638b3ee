//! Vertex AI as the settings say.

use anyhow::Context;
use millstream_gcp_vertex::VertexSettings;
use millstream_runtime::Settings;

/// How Vertex AI is used; `None` where it is not.
pub(crate) fn settings(settings: &Settings) -> anyhow::Result<Option<VertexSettings>> {
    let named = settings.vertex.clone();
    let Some(location) = named.location else {
        anyhow::ensure!(!named.serves, "vertex.serves: needs vertex.location, the region to serve in");
        return Ok(None);
    };
    let image = if named.serves {
        named
            .serving_image
            .context("vertex.serving_image: is needed to serve on Vertex AI; name serve-model's, by digest")?
    } else {
        named.serving_image.unwrap_or_default()
    };
    Ok(Some(VertexSettings {
        bucket: settings.buckets.models.clone(),
        service_account: named.service_account,
        serving_machine: named.serving_machine,
        min_replicas: named.min_replicas.get(),
        max_replicas: named.max_replicas.get(),
        tabular_image: settings.training.image.clone(),
        network: named.network,
        ..VertexSettings::new(location, image)
    }))
}
