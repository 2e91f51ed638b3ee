//! `millstream predict`: asks an endpoint.

use anyhow::Context;
use serde_json::{Value, json};

use super::{Ended, named, session::Session, text_or_stdin};
use crate::{project::Project, render};

pub(super) async fn run(project: Project, endpoint: &str, request: &str, as_json: bool) -> anyhow::Result<Ended> {
    let text = match request.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?,
        None => text_or_stdin(request)?,
    };
    let request: Value = serde_json::from_str(&text).context("the request is no JSON")?;
    let session = Session::to_read(project).await?;
    let answer = session.predict(&named(endpoint)?, with_instances(request)).await?;
    session.close().await?;
    if as_json {
        render::json(&answer);
    } else {
        for prediction in answer["predictions"].as_array().into_iter().flatten() {
            render::line(&prediction.to_string());
        }
        render::note(&format!("answered by version {} of {}", answer["version"], text_of(&answer["model"])));
    }
    Ok(Ended::Well)
}

/// A request; a list is its instances, an object without any is one of them.
fn with_instances(request: Value) -> Value {
    match request {
        Value::Array(instances) => json!({"instances": instances}),
        Value::Object(fields) if !fields.contains_key("instances") => json!({"instances": [fields]}),
        request => request,
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_a_list_and_a_whole_request_are_all_requests() {
        let whole = json!({"instances": [{"x": 1}]});
        assert_eq!(with_instances(json!({"x": 1})), whole);
        assert_eq!(with_instances(json!([{"x": 1}])), whole);
        assert_eq!(with_instances(whole.clone()), whole);
    }
}
