//! The container's settings: Vertex AI's `AIP_*` variables, or the same as options.

use std::path::PathBuf;

use clap::Parser;

/// Vertex AI refuses larger requests itself.
const VERTEX_BODY_LIMIT: usize = 1_500_000;

/// Serve an ONNX model and its signature over HTTP, by Vertex AI's prediction contract.
#[derive(Debug, Clone, Parser)]
#[command(name = "serve-model", version)]
pub struct Settings {
    /// The port to listen on
    #[arg(long, env = "AIP_HTTP_PORT", default_value_t = 8080)]
    pub port: u16,
    /// The path that answers 200 while the model is loaded
    #[arg(long, env = "AIP_HEALTH_ROUTE", default_value = "/health")]
    pub health_route: String,
    /// The path that answers predictions
    #[arg(long, env = "AIP_PREDICT_ROUTE", default_value = "/predict")]
    pub predict_route: String,
    /// The model's folder: a path or a file:// URI
    #[arg(long, env = "AIP_STORAGE_URI")]
    pub storage_uri: String,
    /// The largest request body, in bytes
    #[arg(long, env = "SERVE_MAX_BODY_BYTES", default_value_t = VERTEX_BODY_LIMIT)]
    pub max_body_bytes: usize,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The model is not on this machine.
    #[error(
        "AIP_STORAGE_URI is {0:?}, but this build reads local folders only: mount or copy the model's folder and pass \
         its path or a file:// URI"
    )]
    NotLocal(String),
    /// A route that cannot be served.
    #[error("{name} is {route:?}: {problem}")]
    Route {
        /// The variable.
        name: &'static str,
        /// Its value.
        route: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Settings {
    /// The model's folder on this machine.
    pub fn model_folder(&self) -> Result<PathBuf, SettingsError> {
        match self.storage_uri.split_once("://") {
            None => Ok(PathBuf::from(&self.storage_uri)),
            Some(("file", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
            Some(_) => Err(SettingsError::NotLocal(self.storage_uri.clone())),
        }
    }

    /// Checks what the router would panic on.
    pub fn check_routes(&self) -> Result<(), SettingsError> {
        let routes = [("AIP_HEALTH_ROUTE", &self.health_route), ("AIP_PREDICT_ROUTE", &self.predict_route)];
        for (name, route) in routes {
            let fail = |problem| Err(SettingsError::Route { name, route: route.clone(), problem });
            if !route.starts_with('/') {
                return fail("it has to start with /");
            }
            if route.split('/').any(|segment| segment.starts_with([':', '*']) || segment.contains(['{', '}'])) {
                return fail("its segments cannot start with : or * nor contain braces");
            }
            if route == crate::http::METRICS_ROUTE {
                return fail("that path is taken by the metrics");
            }
        }
        if self.health_route == self.predict_route {
            let (name, route) = ("AIP_PREDICT_ROUTE", self.predict_route.clone());
            return Err(SettingsError::Route { name, route, problem: "it is the health route too" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(arguments: &[&str]) -> Settings {
        Settings::parse_from(["serve-model", "--storage-uri", "file:///models/iris"].iter().chain(arguments))
    }

    #[test]
    fn a_file_uri_is_a_folder_and_a_bucket_is_refused_with_what_to_do() {
        assert_eq!(settings(&[]).model_folder(), Ok(PathBuf::from("/models/iris")));
        let error = Settings { storage_uri: "gs://models/iris".into(), ..settings(&[]) }.model_folder().unwrap_err();
        assert!(error.to_string().contains("mount or copy the model's folder"), "{error}");
    }

    #[test]
    fn routes_that_cannot_be_served_are_refused_by_name() {
        let message = |arguments: &[&str]| settings(arguments).check_routes().unwrap_err().to_string();
        assert!(message(&["--health-route", "health"]).starts_with("AIP_HEALTH_ROUTE is \"health\": it has to start"));
        assert!(message(&["--predict-route", "/health"]).contains("it is the health route too"));
        assert!(message(&["--predict-route", "/metrics"]).contains("taken by the metrics"));
        assert!(message(&["--predict-route", "/{x}"]).contains("braces"));
        assert_eq!(settings(&["--predict-route", "/v1/models/iris:predict"]).check_routes(), Ok(()));
    }
}
