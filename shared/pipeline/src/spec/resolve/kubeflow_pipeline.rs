//! A training that is a compiled Kubeflow pipeline.

use std::collections::BTreeMap;

use millstream_events::{compute::RunOn, work::Program};
use serde_json::{Value, json};

use crate::spec::{
    decode::{At, Decoder, Given},
    diagnostic::Code,
    file::{Args, TrainingSpec},
    nearest::did_you_mean,
    project::{Project, beside},
    yaml::Key,
};

/// The pipeline's specification and its parameters, checked against those it declares.
pub(super) fn program(
    key: &Key,
    path: &At<String>,
    spec: &TrainingSpec,
    run_on: RunOn,
    project: &Project<'_>,
    to: &mut Decoder<'_>,
) -> Option<Program> {
    if run_on != RunOn::KubeflowPipeline {
        to.mistake(path.span.clone(), Code::Conflict, format!("`run_on: {run_on}` runs no Kubeflow pipeline"))
            .hint("write `run_on: kubeflow-pipeline`");
        return None;
    }
    let others = [
        matches!(spec.recipe, Given::Absent),
        matches!(spec.image, Given::Absent),
        matches!(spec.command, Given::Absent),
    ];
    if others.contains(&false) {
        to.mistake(key.span.clone(), Code::Conflict, "a training has a `pipeline` or a program of its own, not both");
        return None;
    }
    let compiled = read(path, project, to)?;
    let parameters = parameters(path, spec, &compiled, to)?;
    Some(Program::KubeflowPipeline { spec: compiled, parameters })
}

fn read(path: &At<String>, project: &Project<'_>, to: &mut Decoder<'_>) -> Option<Value> {
    let Some(bytes) = beside("", &path.value).and_then(|path| project.files.read(&path)) else {
        to.mistake(path.span.clone(), Code::MissingFile, format!("there is no file {} in the project", path.value))
            .expected("what `kfp dsl compile` or `Compiler().compile` wrote, relative to the project's folder");
        return None;
    };
    let text = String::from_utf8_lossy(&bytes);
    match serde_saphyr::from_multiple::<Value>(&text).map(whole) {
        Ok(Some(document))
            if ["pipelineInfo", "root"].iter().all(|part| pipeline_of(&document).get(part).is_some()) =>
        {
            Some(document)
        }
        Ok(_) => {
            to.mistake(path.span.clone(), Code::InvalidValue, format!("{} is not a compiled pipeline", path.value))
                .expected("a document with `pipelineInfo` and `root`, as version 2 of Kubeflow's compiler writes it");
            None
        }
        Err(reason) => {
            to.mistake(path.span.clone(), Code::Yaml, format!("{} cannot be read: {reason}", path.value));
            None
        }
    }
}

/// One document, or two where the pipeline has settings of its platform: then as one, in the form that the API takes.
fn whole(documents: Vec<Value>) -> Option<Value> {
    match <[Value; 2]>::try_from(documents) {
        Ok([pipeline, platform]) => Some(json!({"pipeline_spec": pipeline, "platform_spec": platform})),
        Err(documents) => documents.into_iter().next(),
    }
}

fn pipeline_of(compiled: &Value) -> &Value {
    compiled.get("pipeline_spec").unwrap_or(compiled)
}

/// The user's parameters, each of the type that the pipeline declares.
fn parameters(
    path: &At<String>,
    spec: &TrainingSpec,
    compiled: &Value,
    to: &mut Decoder<'_>,
) -> Option<BTreeMap<String, Value>> {
    let options = match &spec.args {
        None => return Some(BTreeMap::new()),
        Some(Args::Options(options)) => options,
        Some(Args::List(_)) => {
            to.mistake(path.span.clone(), Code::WrongType, "a pipeline's `args` are a map of its parameters");
            return None;
        }
    };
    let none = serde_json::Map::new();
    let declared = pipeline_of(compiled).pointer("/root/inputDefinitions/parameters").and_then(Value::as_object);
    let declared = declared.unwrap_or(&none);
    let mut parameters = BTreeMap::new();
    for (key, given) in &options.entries {
        let Some(declaration) = declared.get(&key.text) else {
            to.mistake(key.span.clone(), Code::UnknownName, format!("the pipeline has no parameter `{}`", key.text))
                .hint_if(did_you_mean(&key.text, declared.keys().map(String::as_str)));
            continue;
        };
        let kind = declaration.get("parameterType").and_then(Value::as_str).unwrap_or("STRING");
        match typed(kind, &given.value) {
            Some(value) => {
                parameters.insert(key.text.clone(), value);
            }
            None => {
                let message = format!("`{}` is no value for the parameter `{}`", given.value, key.text);
                to.mistake(given.span.clone(), Code::InvalidValue, message).expected(kind);
            }
        }
    }
    Some(parameters)
}

/// A text as a value of one of the compiler's parameter types.
fn typed(kind: &str, text: &str) -> Option<Value> {
    match kind {
        "NUMBER_INTEGER" => text.parse::<i64>().ok().map(Value::from),
        "NUMBER_DOUBLE" => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        "BOOLEAN" => text.parse::<bool>().ok().map(Value::from),
        "LIST" | "STRUCT" => serde_json::from_str(text).ok(),
        _ => Some(Value::from(text)),
    }
}
