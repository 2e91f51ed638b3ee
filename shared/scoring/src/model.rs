//! A model: an ONNX graph, made runnable by tract, under its signature.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::Value;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceModelExt};
use tract_onnx::tract_hir::internal::DimLike;

use crate::{ColumnError, Encoder, InstanceError, Predictions, Signature, SignatureError, Task, trees};

/// The ONNX file's name in a model's folder.
pub const MODEL_FILE: &str = "model.onnx";
/// The signature's name in a model's folder.
pub const SIGNATURE_FILE: &str = "signature.json";
/// The key of the signature in an ONNX file's `metadata_props`.
pub const SIGNATURE_PROPERTY: &str = "millstream.signature";

/// A loaded model. Scoring takes `&self`; one model serves any number of threads.
#[derive(Debug)]
pub struct Model {
    encoder: Encoder,
    plan: Arc<TypedRunnableModel>,
}

/// Why a model cannot be loaded or asked.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the model's folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The signature is wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// There is no signature at all.
    #[error(
        "the model has no signature: put {SIGNATURE_FILE} beside {MODEL_FILE}, or the same JSON into the ONNX file's \
         metadata under {SIGNATURE_PROPERTY:?}"
    )]
    NoSignature,
    /// The file is not ONNX, or uses what tract cannot run.
    #[error("the ONNX graph cannot be used: {0}")]
    Graph(String),
    /// The graph and the signature disagree.
    #[error("the ONNX graph does not fit its signature: {0}")]
    Mismatch(String),
    /// Running the graph failed.
    #[error("scoring failed: {0}")]
    Score(String),
    /// An instance is at fault.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// A table's column is at fault.
    #[error(transparent)]
    Column(#[from] ColumnError),
}

impl Model {
    /// Loads `model.onnx` of a folder, with the `signature.json` beside it if there is one.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| ModelError::Read { path, source })
        };
        let signature = match read(SIGNATURE_FILE) {
            Ok(json) => Some(Signature::from_json(&json)?),
            Err(ModelError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Self::from_bytes(&read(MODEL_FILE)?, signature)
    }

    /// Loads an ONNX file from memory; without a signature, the one in its metadata is used.
    pub fn from_bytes(onnx: &[u8], signature: Option<Signature>) -> Result<Self, ModelError> {
        let mut framework = tract_onnx::onnx();
        trees::register(&mut framework.op_register);
        let proto = framework.proto_model_for_read(&mut &onnx[..]).map_err(graph)?;
        let signature = match signature {
            Some(signature) => signature,
            None => embedded_signature(&proto)?,
        };
        let parsed = framework.model_for_proto_model(&proto).map_err(graph)?;
        let plan = plan(parsed, &signature)?;
        Ok(Self { encoder: Encoder::new(Arc::new(signature)), plan })
    }

    /// What the model takes and answers.
    pub fn signature(&self) -> &Signature {
        self.encoder.signature()
    }

    /// How rows become the model's matrix.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Scores JSON instances, by name or by position.
    pub fn predict_instances(&self, instances: &[Value]) -> Result<Predictions, ModelError> {
        self.predict(self.encoder.encode(instances)?, instances.len())
    }

    /// Scores the rows of an Arrow batch; columns that are no features are ignored.
    pub fn predict_batch(&self, batch: &RecordBatch) -> Result<Predictions, ModelError> {
        self.predict(self.encoder.encode_batch(batch)?, batch.num_rows())
    }

    /// Scores a matrix of `rows` rows of the signature's features, NaN being a missing value.
    pub fn predict(&self, matrix: Vec<f32>, rows: usize) -> Result<Predictions, ModelError> {
        let signature = self.encoder.signature();
        if rows == 0 {
            return Ok(Predictions::new(signature.clone(), vec![]));
        }
        let width = signature.features.len();
        let answer = || -> TractResult<Vec<f32>> {
            let input = tract_ndarray::Array2::from_shape_vec((rows, width), matrix)?.into_tensor();
            let outputs = self.plan.run(tvec!(input.into_tvalue()))?;
            Ok(outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        };
        let values = answer().map_err(|error| ModelError::Score(format!("{error:#}")))?;
        let expected = rows * signature.classes.len().max(1);
        if values.len() != expected {
            return Err(ModelError::Mismatch(format!("{} numbers for {rows} rows, not {expected}", values.len())));
        }
        Ok(Predictions::new(signature.clone(), values))
    }
}

fn graph(error: TractError) -> ModelError {
    ModelError::Graph(format!("{error:#}"))
}

fn embedded_signature(proto: &ModelProto) -> Result<Signature, ModelError> {
    let entry = proto.metadata_props.iter().find(|entry| entry.key == SIGNATURE_PROPERTY);
    let json = entry.ok_or(ModelError::NoSignature)?.value.as_bytes();
    Ok(Signature::from_json(json)?)
}

/// Fixes the input to `[rows, features]` and keeps only the output with the scores, so that nothing else is computed.
fn plan(mut model: InferenceModel, signature: &Signature) -> Result<Arc<TypedRunnableModel>, ModelError> {
    let inputs = model.input_outlets().map_err(graph)?.len();
    if inputs != 1 {
        return Err(ModelError::Mismatch(format!("it has {inputs} inputs; one matrix of all features is expected")));
    }
    let rows = model.symbols.sym("rows").to_dim();
    let features = signature.features.len().to_dim();
    let declared = model.input_fact(0).map_err(graph)?.shape.clone();
    if let Some(width) = declared.dim(1).and_then(|dim| dim.concretize()).and_then(|dim| dim.to_i64().ok())
        && width != signature.features.len() as i64
    {
        let features = signature.features.len();
        return Err(ModelError::Mismatch(format!("it takes {width} features, but the signature has {features}")));
    }
    model = model.with_input_fact(0, f32::fact([rows, features]).into()).map_err(graph)?;
    let mut model = model.into_typed().map_err(graph)?;
    let scores = model
        .output_outlets()
        .map_err(graph)?
        .iter()
        .copied()
        .find(|outlet| model.outlet_fact(*outlet).is_ok_and(|fact| holds_scores(fact, signature)));
    let Some(scores) = scores else {
        return Err(ModelError::Mismatch(match signature.task {
            Task::Regression => "it has no float32 output of one value a row".into(),
            _ => format!("it has no float32 output of {} probabilities a row", signature.classes.len()),
        }));
    };
    model.select_output_outlets(&[scores]).map_err(graph)?;
    model.into_optimized().and_then(|model| model.into_runnable()).map_err(graph)
}

fn holds_scores(fact: &TypedFact, signature: &Signature) -> bool {
    let width = |dim: &TDim| dim.to_usize().ok();
    fact.datum_type == f32::datum_type()
        && match (signature.task, &*fact.shape.to_tvec()) {
            (Task::Regression, [_]) => true,
            (Task::Regression, [_, columns]) => width(columns) == Some(1),
            (_, [_, columns]) => width(columns) == Some(signature.classes.len()),
            _ => false,
        }
}
