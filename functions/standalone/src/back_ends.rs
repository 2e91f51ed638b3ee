//! What trains elsewhere than on this machine: each back-end whose place the settings say.

use std::{path::Path, sync::Arc};

use anyhow::{Context, bail};
#[cfg(any(feature = "ray", feature = "kubeflow"))]
use millstream_events::compute::RunOn;
#[cfg(any(feature = "ray", feature = "kubeflow"))]
use millstream_ports::{Clock, Secret, SecretName, Secrets};
use millstream_prices::Book;
use millstream_runtime::Settings;
use millstream_train_model::BackEnds;

/// What back-ends are made of besides their settings.
pub(crate) struct World {
    /// Where their own tokens are.
    #[cfg(any(feature = "ray", feature = "kubeflow"))]
    pub(crate) secrets: Arc<dyn Secrets>,
    #[cfg(any(feature = "ray", feature = "kubeflow"))]
    pub(crate) clock: Arc<dyn Clock>,
    /// How a Ray cluster finds objects.
    #[cfg(feature = "ray")]
    pub(crate) paths: millstream_cluster_ray::Paths,
    /// Who calls a Kubernetes cluster that is named by its address.
    #[cfg(feature = "kubeflow")]
    pub(crate) token: Option<millstream_cluster_kubernetes::TokenSource>,
}

/// The price book that the settings name: a built-in one, or a file from the project's folder.
pub(crate) fn price_book(settings: &Settings, folder: &Path) -> anyhow::Result<Arc<Book>> {
    let named = &settings.training.price_book;
    let book =
        if Book::built_in().contains(&named.as_str()) { Book::open(named) } else { Book::read(&folder.join(named)) };
    Ok(Arc::new(book.with_context(|| format!("training.price_book: {named:?} cannot be used"))?))
}

/// Adds the back-ends that the settings name to those that are there.
pub(crate) async fn elsewhere(mut there: BackEnds, settings: &Settings, world: &World) -> anyhow::Result<BackEnds> {
    there = kubernetes(there, settings, world).await?;
    there = pipelines(there, settings, world).await?;
    ray(there, settings, world).await
}

#[cfg(feature = "kubeflow")]
async fn kubernetes(there: BackEnds, settings: &Settings, world: &World) -> anyhow::Result<BackEnds> {
    use millstream_cluster_kubernetes::{KubernetesSettings, KubernetesTrainer};

    let named = settings.kubernetes.clone();
    if named.url.is_none() && named.context.is_none() {
        return Ok(there);
    }
    let trainer = KubernetesTrainer::connect(KubernetesSettings {
        token: world.token.clone().filter(|_| named.url.is_some()),
        url: named.url,
        context: named.context,
        certificate_authority: named.certificate_authority,
        namespace: named.namespace,
        service_account: named.service_account,
        queue: named.queue,
        runtime: named.runtime,
        image: settings.training.image.clone(),
        ray_image: named.ray_image,
        ..KubernetesSettings::default()
    });
    let trainer = Arc::new(trainer.await.context("kubernetes: the cluster cannot be used")?);
    let on = |there: BackEnds, run_on| there.with(run_on, trainer.clone());
    Ok([RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::Ray].into_iter().fold(there, on))
}

#[cfg(not(feature = "kubeflow"))]
async fn kubernetes(there: BackEnds, settings: &Settings, _: &World) -> anyhow::Result<BackEnds> {
    if settings.kubernetes.url.is_some() || settings.kubernetes.context.is_some() {
        bail!("kubernetes: this build has no Kubernetes client; build it with `--features kubeflow`");
    }
    Ok(there)
}

#[cfg(feature = "kubeflow")]
async fn pipelines(there: BackEnds, settings: &Settings, world: &World) -> anyhow::Result<BackEnds> {
    use millstream_cluster_pipelines::{FixedToken, PipelinesSettings, PipelinesTrainer, TokenSource};

    let named = settings.kubeflow_pipelines.clone();
    let Some(url) = named.url else { return Ok(there) };
    let token = token(named.token.as_deref(), "kubeflow_pipelines.token", world).await?;
    let pipelines = PipelinesSettings {
        namespace: named.namespace,
        experiment: named.experiment,
        service_account: named.service_account,
        token: token.map(|token| Arc::new(FixedToken(token)) as Arc<dyn TokenSource>),
        ..PipelinesSettings::new(url)
    };
    let trainer = PipelinesTrainer::new(pipelines, world.clock.clone());
    Ok(there.with(RunOn::KubeflowPipeline, Arc::new(trainer.context("kubeflow_pipelines: cannot be used")?)))
}

#[cfg(not(feature = "kubeflow"))]
async fn pipelines(there: BackEnds, settings: &Settings, _: &World) -> anyhow::Result<BackEnds> {
    if settings.kubeflow_pipelines.url.is_some() {
        bail!("kubeflow_pipelines: this build has no client for it; build it with `--features kubeflow`");
    }
    Ok(there)
}

#[cfg(feature = "ray")]
async fn ray(there: BackEnds, settings: &Settings, world: &World) -> anyhow::Result<BackEnds> {
    use millstream_cluster_ray::{RaySettings, RayTrainer};

    let named = settings.ray.clone();
    let Some(address) = named.address else { return Ok(there) };
    let token = token(named.token.as_deref(), "ray.token", world).await?;
    let mut ray = RaySettings { token, paths: world.paths.clone(), ..RaySettings::new(address) };
    if ray.paths != millstream_cluster_ray::Paths::Uri {
        // A cluster on this machine has this program too, wherever it is.
        let this = std::env::current_exe().context("this program's own file cannot be found")?;
        ray.tabular[0] = this.to_str().context("this program's own path is not UTF-8")?.to_owned();
    }
    let trainer = RayTrainer::new(ray, world.clock.clone()).context("ray: cannot be used")?;
    Ok(there.with(RunOn::RayCluster, Arc::new(trainer)))
}

#[cfg(not(feature = "ray"))]
async fn ray(there: BackEnds, settings: &Settings, _: &World) -> anyhow::Result<BackEnds> {
    if settings.ray.address.is_some() {
        bail!("ray: this build has no client for Ray; build it with `--features ray`");
    }
    Ok(there)
}

/// The token that a setting names.
#[cfg(any(feature = "ray", feature = "kubeflow"))]
async fn token(named: Option<&str>, setting: &str, world: &World) -> anyhow::Result<Option<Secret>> {
    let Some(named) = named else { return Ok(None) };
    let Some(name) = SecretName::of_reference(named) else {
        bail!("{setting}: write the name of a secret, `secret:NAME`, not the token itself");
    };
    let name = name.with_context(|| format!("{setting}: that is no secret's name"))?;
    Ok(Some(world.secrets.get(&name).await.with_context(|| format!("{setting}: the secret cannot be read"))?))
}
