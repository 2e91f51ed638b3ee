//! The tract operators around an [`Ensemble`]: one for the scores, one for the label with the highest score.

use std::sync::Arc;

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::Ensemble;
use super::parse::{self, Labels};

/// Replaces tract's tree operators in a register.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("TreeEnsembleClassifier", classifier);
    operators.insert("TreeEnsembleRegressor", regressor);
}

type Parsed = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

fn classifier(_context: &ParsingContext, node: &NodeProto) -> Parsed {
    let (ensemble, labels) = parse::classifier(node)?;
    Ok((expand(Trees { ensemble: Arc::new(ensemble), labels: Some(Arc::new(labels)) }), vec![]))
}

fn regressor(_context: &ParsingContext, node: &NodeProto) -> Parsed {
    Ok((expand(Trees { ensemble: Arc::new(parse::regressor(node)?), labels: None }), vec![]))
}

/// The node as the graph has it: outputs (scores) of a regressor, (labels, scores) of a classifier.
#[derive(Debug, Clone, PartialEq)]
struct Trees {
    ensemble: Arc<Ensemble>,
    labels: Option<Arc<Labels>>,
}

impl Eq for Trees {}

impl Expansion for Trees {
    fn name(&self) -> StaticName {
        "TreeEnsemble".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(if self.labels.is_some() { 2 } else { 1 })
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, self.nboutputs()?)?;
        let scores = outputs.len() - 1;
        solver.equals(&inputs[0].rank, 2)?;
        solver.equals(&outputs[scores].datum_type, f32::datum_type())?;
        solver.equals(&outputs[scores].rank, 2)?;
        solver.equals(&outputs[scores].shape[0], &inputs[0].shape[0])?;
        solver.equals(&outputs[scores].shape[1], self.ensemble.columns.to_dim())?;
        if let Some(labels) = &self.labels {
            solver.equals(&outputs[0].datum_type, label_type(labels))?;
            solver.equals(&outputs[0].rank, 1)?;
            solver.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let width = model.outlet_fact(inputs[0])?.shape[1].clone();
        if let Ok(width) = width.to_usize() {
            let used = self.ensemble.features_used;
            ensure!(width >= used, "the trees of {prefix} use {used} features, but the input has {width}");
        }
        let scores = model.wire_node(format!("{prefix}.scores"), Scores(self.ensemble.clone()), inputs)?;
        let Some(labels) = &self.labels else { return Ok(scores) };
        let label = model.wire_node(format!("{prefix}.label"), TopLabel(labels.clone()), &scores)?;
        Ok(tvec!(label[0], scores[0]))
    }
}

fn label_type(labels: &Labels) -> DatumType {
    match labels {
        Labels::Strings(_) => String::datum_type(),
        Labels::Integers(_) => i64::datum_type(),
    }
}

/// `[rows, features]` -> `[rows, columns]`.
#[derive(Debug, Clone, PartialEq)]
struct Scores(Arc<Ensemble>);

impl Eq for Scores {}

impl Op for Scores {
    fn name(&self) -> StaticName {
        "TreeEnsembleScores".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Scores {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let input = input.cast_to::<f32>()?;
        let &[rows, width] = input.shape() else { bail!("a tree ensemble takes rows of features") };
        ensure!(width >= self.0.features_used, "{width} features for trees that use {}", self.0.features_used);
        let scores = self.0.score(input.try_as_plain_ram()?.as_slice::<f32>()?, width);
        Ok(tvec!(tensor1(&scores).into_shape(&[rows, self.0.columns])?.into_tvalue()))
    }
}

impl TypedOp for Scores {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&[inputs[0].shape[0].clone(), self.0.columns.to_dim()])))
    }

    as_op!();
}

/// `[rows, columns]` -> the label of each row's highest score, the first of equals.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TopLabel(Arc<Labels>);

impl Op for TopLabel {
    fn name(&self) -> StaticName {
        "TreeEnsembleLabel".into()
    }

    op_as_typed_op!();
}

impl EvalOp for TopLabel {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let scores = args_1!(inputs);
        let &[_, columns] = scores.shape() else { bail!("labels are taken from rows of scores") };
        let scores = scores.try_as_plain_ram()?.as_slice::<f32>()?;
        let winners = scores.chunks_exact(columns).map(crate::prediction::highest);
        let labels = match &*self.0 {
            Labels::Strings(labels) => tensor1(&winners.map(|index| labels[index].clone()).collect::<Vec<_>>()),
            Labels::Integers(labels) => tensor1(&winners.map(|index| labels[index]).collect::<Vec<_>>()),
        };
        Ok(tvec!(labels.into_tvalue()))
    }
}

impl TypedOp for TopLabel {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(label_type(&self.0).fact([inputs[0].shape[0].clone()])))
    }

    as_op!();
}
