//! Which cluster, which namespace, and what jobs get that say nothing themselves.

use std::{fmt, future::Future, sync::Arc};

use futures::future::BoxFuture;
use millstream_ports::error::PortResult;

/// Where trainings run.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// The API server's address, such as `https://gke-1234.us-central1.gke.goog`. Where it is absent: the kubeconfig of
    /// `KUBECONFIG` or of the home folder, else the cluster that this program runs in.
    pub url: Option<String>,
    /// The kubeconfig's context; its current one where it is absent. Without meaning beside `url`.
    pub context: Option<String>,
    /// The certificate authority of `url` as GKE gives it (`masterAuth.clusterCaCertificate`): PEM in base64. The machine's
    /// own authorities where it is absent, which is right for GKE's DNS-based endpoint.
    pub certificate_authority: Option<String>,
    /// Who calls, for a program outside the cluster; the kubeconfig's or the pod's own identity where it is absent.
    pub token: Option<TokenSource>,
    /// The namespace of all objects.
    pub namespace: String,
    /// The service account of Kubernetes that jobs run as which name none.
    pub service_account: String,
    /// The Kueue LocalQueue of jobs that name none; none where it is absent.
    pub queue: Option<String>,
    /// The ClusterTrainingRuntime of TrainJobs.
    pub runtime: String,
    /// The platform's image, by digest, for the recipe `tabular` on Kubeflow.
    pub image: Option<String>,
    /// An image, by digest, that has both the platform's program and Ray, for the recipe `tabular` on Ray.
    pub ray_image: Option<String>,
    /// The version of Ray in the images, such as `2.60.0`, for KubeRay; it asks the image where it is absent.
    pub ray_version: Option<String>,
    /// An image with `cp`, for the init container that copies a job's rows onto its node. A TrainJob's is the runtime's.
    pub copy_image: String,
    /// The user and group that programs run as, a number above 0.
    pub user: u32,
    /// How long an ended job's object is kept for whoever wants to look, in seconds.
    pub keep_seconds: u32,
}

impl Default for KubernetesSettings {
    /// The names of `infra/kubernetes`, in the cluster at hand.
    fn default() -> Self {
        Self {
            url: None,
            context: None,
            certificate_authority: None,
            token: None,
            namespace: "millstream-training".to_owned(),
            service_account: "training".to_owned(),
            queue: None,
            runtime: "millstream".to_owned(),
            image: None,
            ray_image: None,
            ray_version: None,
            copy_image: "busybox:1.37".to_owned(),
            user: 1_000,
            keep_seconds: 86_400,
        }
    }
}

/// Gives an access token that is valid now. It is asked before each request, so it keeps what it has until that expires.
#[derive(Clone)]
pub struct TokenSource(Arc<dyn Fn() -> BoxFuture<'static, PortResult<String>> + Send + Sync>);

impl TokenSource {
    /// Asks `source` each time.
    pub fn new<F>(source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = PortResult<String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(source())))
    }

    /// A token for the next request.
    pub(crate) fn token(&self) -> BoxFuture<'static, PortResult<String>> {
        (self.0)()
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(..)")
    }
}
