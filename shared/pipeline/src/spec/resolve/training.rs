//! A training: its program, the code it runs, its limits and where its model is served.

use std::{collections::BTreeMap, time::Duration};

use millstream_events::{
    Fingerprint,
    compute::{Compute, RunOn},
    names::ModelName,
    secret_name::SecretName,
    work::{Canary, DataFormat, Program, Serving},
};

use super::{Placed, compute, kubeflow_pipeline};
use crate::{
    model::Training,
    spec::{
        decode::{At, Decoder, Given},
        diagnostic::Code,
        file::{Args, CanarySpec, ServingSpec, TrainingSpec},
        nearest::did_you_mean,
        project::{Project, beside},
        scalars::ImageRef,
        yaml::Key,
    },
};

const DEFAULT_WALL: Duration = Duration::from_secs(60 * 60);
const DEFAULT_BAKE: Duration = Duration::from_secs(15 * 60);
const DEFAULT_MAX_ERROR_RATE: f64 = 0.05;

pub(super) fn resolve(
    key: &Key,
    spec: &TrainingSpec,
    serving: Option<&(Key, ServingSpec)>,
    project: &Project<'_>,
    to: &mut Decoder<'_>,
) -> Option<Placed<Training>> {
    let model = At::<ModelName>::read(&key.text, &key.span, to);
    let compute = compute::resolve(key, spec, to);
    let program = program(key, spec, &compute, project, to);
    let env = environment(spec, to);
    let serving = serving.map(|(served, serving)| Serving {
        endpoint: serving.endpoint.value.clone(),
        promote_when: serving.promote_when.items.iter().map(|gate| gate.value.0.clone()).collect(),
        canary: serving.canary.as_ref().map(|canary| canary_of(served, canary, to)),
    });
    let program = program?;
    // A pipeline has its arguments as parameters.
    let args = spec.args.as_ref().filter(|_| !matches!(program, Program::KubeflowPipeline { .. }));
    let args = args.map(Args::argv).unwrap_or_default();
    let default_format = if program == Program::Tabular { DataFormat::Parquet } else { DataFormat::Csv };
    let wall = spec.limits.as_ref().and_then(|limits| limits.wall.as_ref());
    Some(Placed {
        value: Training {
            model: model?.value,
            data: spec.data.value.clone(),
            data_format: spec.data_format.as_ref().map_or(default_format, |at| at.value),
            target: spec.target.as_ref().map(|at| at.value.clone()),
            code: code(&program, &args, project),
            program,
            args,
            compute,
            env,
            wall: wall.map_or(DEFAULT_WALL, |at| at.value),
            serving,
        },
        table: spec.data.span.clone(),
        detail: spec.target.as_ref().map_or_else(|| key.span.clone(), |target| target.span.clone()),
    })
}

fn program(
    key: &Key,
    spec: &TrainingSpec,
    compute: &Compute,
    project: &Project<'_>,
    to: &mut Decoder<'_>,
) -> Option<Program> {
    let run_on = compute.run_on;
    if let Given::Read(path) = &spec.pipeline {
        return kubeflow_pipeline::program(key, path, spec, run_on, project, to);
    }
    match (&spec.recipe, &spec.image, &spec.command) {
        (Given::Read(_), Given::Absent, Given::Absent) => {
            if spec.target.is_none() {
                let message = format!("the recipe of `{}` needs a `target`", key.text);
                to.mistake(key.span.clone(), Code::MissingField, message).expected("the column to predict");
            }
            Some(Program::Tabular)
        }
        (Given::Absent, Given::Read(image), command) => {
            let command = match command {
                Given::Read(command) => command.items.iter().map(|at| at.value.clone()).collect(),
                Given::Absent => Vec::new(),
                Given::Broken => return None,
            };
            runs_images(run_on, &command, image, to).then(|| Program::Image { image: image.value.0.clone(), command })
        }
        (Given::Absent, Given::Absent, Given::Read(command)) => {
            if command.items.is_empty() && !command.incomplete {
                to.mistake(key.span.clone(), Code::MissingField, format!("the command of `{}` is empty", key.text))
                    .expected("a program and its arguments, such as [python3, train.py]");
                return None;
            }
            if !matches!(run_on, RunOn::Local | RunOn::RayCluster) {
                let place = command.items.first().map_or_else(|| key.span.clone(), |at| at.span.clone());
                to.mistake(
                    place,
                    Code::MissingField,
                    format!("`run_on: {run_on}` needs the `image` that the command is in"),
                )
                .expected("image: HOST/NAME@sha256:.., with the project's programs in it");
                return None;
            }
            for script in command.items.iter().filter(|at| is_script(&at.value)) {
                missing_script(script, project, to);
            }
            Some(Program::Command(command.items.iter().map(|at| at.value.clone()).collect()))
        }
        (Given::Absent, Given::Absent, Given::Absent) => {
            to.mistake(key.span.clone(), Code::MissingField, format!("the training `{}` needs a program", key.text))
                .expected("`recipe: tabular`, `command: [python3, train.py]` or `image: HOST/NAME@sha256:..`");
            None
        }
        (Given::Absent | Given::Broken, Given::Absent | Given::Broken, Given::Absent | Given::Broken) => None,
        _ => {
            to.mistake(key.span.clone(), Code::Conflict, "a training has a `recipe` or a program of its own, not both")
                .expected("`recipe`, or `command`, or `image` with or without `command`");
            None
        }
    }
}

/// Whether the back-end starts containers, or the image comes with a command that runs without one.
fn runs_images(run_on: RunOn, command: &[String], image: &At<ImageRef>, to: &mut Decoder<'_>) -> bool {
    match run_on {
        RunOn::Local if command.is_empty() => {
            to.mistake(image.span.clone(), Code::Conflict, "`run_on: local` runs programs, not containers")
                .hint("add the `command` that the image runs, or choose another `run_on`");
            false
        }
        RunOn::RayCluster => {
            to.mistake(image.span.clone(), Code::Conflict, "a Ray cluster that is there already has its own image")
                .hint("give the `command` alone, or `run_on: ray` for a cluster made of this image");
            false
        }
        RunOn::KubeflowPipeline => {
            to.mistake(image.span.clone(), Code::Conflict, "`run_on: kubeflow-pipeline` runs a compiled `pipeline`")
                .hint("the images of its steps stand in the pipeline itself");
            false
        }
        _ => true,
    }
}

fn is_script(argument: &str) -> bool {
    !argument.starts_with(['-', '/']) && [".py", ".sh", ".R", ".jl"].iter().any(|end| argument.ends_with(end))
}

fn missing_script(script: &At<String>, project: &Project<'_>, to: &mut Decoder<'_>) {
    let path = beside("", &script.value);
    if path.as_ref().is_some_and(|path| project.files.read(path).is_some()) {
        return;
    }
    let there: Vec<String> = project.files.list().into_iter().filter(|file| is_script(file)).collect();
    to.mistake(script.span.clone(), Code::MissingFile, format!("there is no file {} in the project", script.value))
        .expected("a path relative to the project's folder, where the program runs")
        .hint_if(did_you_mean(&script.value, there.iter().map(String::as_str)));
}

/// A hash of the project's files that the command names, so that changed code is another training.
fn code(program: &Program, args: &[String], project: &Project<'_>) -> Option<Fingerprint> {
    let Program::Command(command) = program else { return None };
    let named = command.iter().chain(args).filter(|argument| !argument.starts_with(['-', '/']));
    let files: Vec<(String, Vec<u8>)> = named
        .filter_map(|argument| {
            let path = beside("", argument)?;
            let bytes = project.files.read(&path)?;
            Some((path, bytes))
        })
        .collect();
    let parts = files.iter().flat_map(|(path, bytes)| [path.as_bytes(), bytes.as_slice()]);
    (!files.is_empty()).then(|| Fingerprint::of("training-code", parts))
}

fn environment(spec: &TrainingSpec, to: &mut Decoder<'_>) -> BTreeMap<String, String> {
    for (key, value) in &spec.env.entries {
        let valid = key.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            to.mistake(key.span.clone(), Code::InvalidValue, format!("`{}` is not an environment variable", key.text))
                .expected("letters, digits and _, not starting with a digit");
        } else if key.text.starts_with("AIP_") {
            to.mistake(key.span.clone(), Code::Conflict, format!("`{}` is for the platform to set", key.text))
                .hint("the AIP_ variables are the contract between the platform and the program; use another name");
        }
        if SecretName::of_reference(&value.value).is_some_and(|name| name.is_err()) {
            // The text is not repeated: it may be the secret itself, written where its name belongs.
            to.mistake(value.span.clone(), Code::InvalidValue, "that is no secret's name")
                .expected("1 to 255 letters, digits, - and _, such as secret:crm-password");
        }
    }
    spec.env.entries.iter().map(|(key, value)| (key.text.clone(), value.value.clone())).collect()
}

fn canary_of(served: &Key, spec: &CanarySpec, to: &mut Decoder<'_>) -> Canary {
    let steps: Vec<u8> = spec.steps.items.iter().map(|step| step.value.0).collect();
    if steps.is_empty() && !spec.steps.incomplete {
        to.mistake(served.span.clone(), Code::MissingField, format!("the canary of `{}` needs `steps`", served.text))
            .expected("percentages such as [10, 50, 100]");
    }
    let descends = spec.steps.items.windows(2).find(|pair| pair[0].value.0 >= pair[1].value.0).map(|pair| &pair[1]);
    let misplaced =
        descends.or_else(|| spec.steps.items.last().filter(|last| last.value.0 != 100 && !spec.steps.incomplete));
    if let Some(step) = misplaced {
        to.mistake(step.span.clone(), Code::InvalidValue, "canary steps ascend, and the last is 100")
            .expected("percentages such as [10, 50, 100]");
    }
    Canary {
        steps,
        bake_seconds: spec.bake.as_ref().map_or(DEFAULT_BAKE, |at| at.value).as_secs(),
        max_error_rate: spec.max_error_rate.as_ref().map_or(DEFAULT_MAX_ERROR_RATE, |at| at.value.0),
        max_latency_ms: spec.max_latency.as_ref().map(|at| at.value.0.as_secs_f64() * 1_000.0),
        max_score_shift: spec.max_score_shift.as_ref().map(|at| at.value.0),
    }
}
