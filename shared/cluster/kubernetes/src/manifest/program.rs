//! Which program runs in which image.

use millstream_events::work::Program;
use millstream_ports::error::{PortError, PortResult};

use super::Job;
use crate::kind::Kind;

/// The longest name of an image that a TrainJob takes.
const LONGEST_IMAGE: usize = 500;

/// The built-in recipe in the platform's image.
const TABULAR: [&str; 3] = ["millstream", "recipe", "tabular"];

/// A container's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runs {
    /// The image.
    pub(super) image: String,
    /// The program and its first arguments; the image's own where it is empty.
    pub(super) command: Vec<String>,
    /// The job's arguments.
    pub(super) args: Vec<String>,
}

/// What the job runs.
pub(super) fn runs(job: &Job<'_>, kind: Kind) -> PortResult<Runs> {
    let (image, command) = match &job.training.program {
        Program::Tabular => {
            let command = TABULAR.map(str::to_owned).to_vec();
            let (image, setting) = match kind {
                Kind::RayJob => (&job.settings.ray_image, "an image with the platform and Ray"),
                Kind::TrainJob | Kind::PyTorchJob => (&job.settings.image, "the platform's image"),
            };
            let image = image.clone().ok_or_else(|| {
                PortError::invalid(format!(
                    "image: this platform is not told {setting}, which the recipe `tabular` runs in"
                ))
            })?;
            (image, command)
        }
        Program::Image { image, command } => (by_digest(image)?, command.clone()),
        Program::Command(_) => {
            return Err(PortError::invalid(format!(
                "image: it is missing; a {} runs a container: image: HOST/NAME@sha256:.., with the program in it",
                kind.as_str()
            )));
        }
        Program::KubeflowPipeline { .. } => {
            return Err(PortError::invalid(
                "pipeline: it runs on Kubeflow's pipelines alone, `run_on: kubeflow-pipeline`",
            ));
        }
    };
    if image.len() > LONGEST_IMAGE || image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(PortError::invalid(format!(
            "image: {image:?} is no image's name of at most {LONGEST_IMAGE} characters"
        )));
    }
    Ok(Runs { image, command, args: job.training.args.clone() })
}

fn by_digest(image: &str) -> PortResult<String> {
    let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    match image.split_once("@sha256:") {
        Some((name, digest)) if !name.is_empty() && is_digest(digest) => Ok(image.to_owned()),
        _ => Err(PortError::invalid(format!("image: {image:?} has no digest: write HOST/NAME@sha256:.."))),
    }
}

/// As Kubernetes is to read it: it replaces `$(NAME)` in commands and variables, and `$$` by `$`.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A list of [`literal`] texts.
pub(super) fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}
