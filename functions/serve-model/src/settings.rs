//! The container's settings: Vertex AI's `AIP_*` variables, or the same as options.

use std::path::PathBuf;

use clap::Parser;

/// Vertex AI refuses larger requests itself.
const VERTEX_BODY_LIMIT: usize = 1_500_000;

/// A larger ONNX file does not fit beside its parsed form into a container of common size.
const MODEL_LIMIT: u64 = 1 << 30;

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
    /// The model's folder: a path, a file:// URI or, in a build with the feature `cloud`, a gs:// URI
    #[arg(long, env = "AIP_STORAGE_URI")]
    pub storage_uri: String,
    /// The model's name in answers and log lines; its signature's when left out
    #[arg(long, env = "SERVE_MODEL")]
    pub model: Option<String>,
    /// The model's version in answers and log lines; its signature's fingerprint when left out
    #[arg(long, env = "SERVE_MODEL_VERSION")]
    pub model_version: Option<String>,
    /// The deployment's id in answers, as Vertex AI gives it
    #[arg(long, env = "AIP_DEPLOYED_MODEL_ID")]
    pub deployed_model_id: Option<String>,
    /// Seconds between two log lines with the mean score; 0 for none
    #[arg(long, env = "SERVE_SCORE_LOG_SECONDS", default_value_t = 1)]
    pub score_log_seconds: u64,
    /// The largest ONNX file that is read from a bucket, in bytes
    #[arg(long, env = "SERVE_MAX_MODEL_BYTES", default_value_t = MODEL_LIMIT)]
    pub max_model_bytes: u64,
    /// A Cloud Storage emulator in the service's place, HOST:PORT
    #[arg(long, env = "STORAGE_EMULATOR_HOST", hide = true)]
    pub storage_emulator_host: Option<String>,
    /// The largest request body, in bytes
    #[arg(long, env = "SERVE_MAX_BODY_BYTES", default_value_t = VERTEX_BODY_LIMIT)]
    pub max_body_bytes: usize,
}

/// Where a model's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this machine.
    Folder(PathBuf),
    /// In a bucket.
    Bucket(BucketFolder),
}

/// A folder in a bucket; of a build that cannot read any there is none.
#[cfg(feature = "cloud")]
pub type BucketFolder = millstream_events::names::ObjectPath;

/// A folder in a bucket; of a build that cannot read any there is none.
#[cfg(not(feature = "cloud"))]
pub type BucketFolder = std::convert::Infallible;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The model is in a bucket, which this build cannot read.
    #[error(
        "AIP_STORAGE_URI is {0:?}, but this build reads local folders only: build it with `--features cloud`, or mount or copy the \
         model's folder and pass its path or a file:// URI"
    )]
    NotLocal(String),
    /// It names no folder at all.
    #[error("AIP_STORAGE_URI is {uri:?}: {problem}; pass a path, file:///FOLDER or gs://BUCKET/FOLDER")]
    Location {
        /// Its value.
        uri: String,
        /// What is wrong.
        problem: String,
    },
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
    /// Where the model's files are.
    pub fn location(&self) -> Result<Location, SettingsError> {
        match self.storage_uri.split_once("://") {
            None => Ok(Location::Folder(PathBuf::from(&self.storage_uri))),
            Some(("file", path)) if path.starts_with('/') => Ok(Location::Folder(PathBuf::from(path))),
            Some(("gs", _)) => self.bucket_folder().map(Location::Bucket),
            Some((scheme, _)) => Err(SettingsError::Location {
                uri: self.storage_uri.clone(),
                problem: format!("there is no reading from {scheme}://"),
            }),
        }
    }

    #[cfg(feature = "cloud")]
    fn bucket_folder(&self) -> Result<BucketFolder, SettingsError> {
        // Vertex AI writes the folder with and without its slash.
        let parsed = self.storage_uri.trim_end_matches('/').parse::<BucketFolder>();
        parsed.map_err(|error| SettingsError::Location { uri: self.storage_uri.clone(), problem: error.to_string() })
    }

    #[cfg(not(feature = "cloud"))]
    fn bucket_folder(&self) -> Result<BucketFolder, SettingsError> {
        Err(SettingsError::NotLocal(self.storage_uri.clone()))
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

    fn location(uri: &str) -> Result<Location, SettingsError> {
        Settings { storage_uri: uri.into(), ..settings(&[]) }.location()
    }

    #[test]
    fn a_path_and_a_file_uri_are_folders_and_other_schemes_are_refused() {
        assert_eq!(location("file:///models/iris"), Ok(Location::Folder(PathBuf::from("/models/iris"))));
        assert_eq!(location("models/iris"), Ok(Location::Folder(PathBuf::from("models/iris"))));
        for uri in ["s3://models/iris", "file://iris"] {
            let message = location(uri).unwrap_err().to_string();
            assert!(message.contains("pass a path, file:///FOLDER or gs://BUCKET/FOLDER"), "{message}");
        }
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn a_bucket_s_folder_is_read_with_and_without_its_slash() {
        let iris = Location::Bucket("gs://models/iris".parse().unwrap());
        assert_eq!(location("gs://models/iris"), Ok(iris.clone()));
        assert_eq!(location("gs://models/iris/"), Ok(iris));
        assert!(location("gs://models/a/../b").unwrap_err().to_string().contains("object name"));
    }

    #[cfg(not(feature = "cloud"))]
    #[test]
    fn a_bucket_is_refused_with_what_to_do() {
        let message = location("gs://models/iris").unwrap_err().to_string();
        assert!(message.contains("build it with `--features cloud`"), "{message}");
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
