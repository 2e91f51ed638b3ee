//! The column to predict -> the task, its classes and every row's target.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, Float64Type};
use millstream_scoring::{Task, class_labels};

use crate::boost;
use crate::{Options, RecipeError, TaskChoice};

/// More classes than this are a sign of a key or a measurement, and would need as many trees a round.
const MOST_CLASSES: usize = 100;

/// What is to be predicted.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    pub(crate) target: String,
    pub(crate) task: Task,
    /// In the order of the probabilities: numbers by value, text by the alphabet.
    pub(crate) classes: Vec<String>,
}

/// Takes out the rows that have no target: they can neither teach nor measure.
pub(crate) fn rows_with_target(batch: &RecordBatch, options: &Options) -> Result<RecordBatch, RecipeError> {
    let column = column(batch, &options.target, "target")?;
    let mut known = is_not_null(column)?;
    if column.data_type().is_floating() {
        let numbers = cast(column, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        known = numbers.iter().map(|number| Some(number.is_some_and(f64::is_finite))).collect::<BooleanArray>();
    }
    Ok(filter_record_batch(batch, &known)?)
}

/// A column named by an option, or an error with the nearest name.
pub(crate) fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
    option: &'static str,
) -> Result<&'a ArrayRef, RecipeError> {
    batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let nearest = names
            .iter()
            .max_by(|left, right| strsim::jaro_winkler(name, left).total_cmp(&strsim::jaro_winkler(name, right)));
        let hint = nearest.filter(|nearest| strsim::jaro_winkler(name, nearest) > 0.8);
        RecipeError::NoColumn {
            option,
            name: name.to_owned(),
            hint: hint.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default(),
            columns: names.join(", "),
        }
    })
}

impl Goal {
    /// Decides what a target is from its type, its values and the choice made.
    pub(crate) fn of(batch: &RecordBatch, options: &Options) -> Result<Self, RecipeError> {
        let name = &options.target;
        let array = column(batch, name, "target")?;
        let fail = |problem: String| RecipeError::Target { name: name.clone(), problem };
        if array.is_empty() {
            return Err(fail("has no value in any row".into()));
        }
        let kind = array.data_type();
        let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            || matches!(kind, DataType::Dictionary(_, values) if values.is_string());
        if !(is_text || kind.is_numeric() || *kind == DataType::Boolean) {
            return Err(fail(format!("is of type {kind}; text, a boolean or a number can be predicted")));
        }
        let classes = match options.task {
            TaskChoice::Regression if kind.is_numeric() => None,
            TaskChoice::Regression => return Err(fail(format!("is of type {kind}; a regression needs a number"))),
            TaskChoice::Classification => Some(classes(name, array)?),
            TaskChoice::Auto if kind.is_integer() => Some(classes(name, array)?).filter(|classes| classes.len() == 2),
            TaskChoice::Auto if kind.is_numeric() => None,
            TaskChoice::Auto => Some(classes(name, array)?),
        };
        let Some(classes) = classes else {
            return Ok(Self { target: name.clone(), task: Task::Regression, classes: vec![] });
        };
        let task = match classes.len() {
            0 | 1 => return Err(fail(format!("is {:?} in every row; two classes are needed", classes.concat()))),
            2 => Task::Binary,
            count if count > MOST_CLASSES => {
                let advice = "if it is a number, pass --task regression";
                return Err(fail(format!("has {count} classes, more than {MOST_CLASSES}; {advice}")));
            }
            _ => Task::Multiclass,
        };
        Ok(Self { target: name.clone(), task, classes })
    }

    /// Each row's target; none where its class is not among the known ones.
    pub(crate) fn read(&self, batch: &RecordBatch) -> Result<Vec<Option<Truth>>, RecipeError> {
        let array = column(batch, &self.target, "target")?;
        if self.task == Task::Regression {
            let numbers = cast(array, &DataType::Float64)?;
            return Ok(numbers.as_primitive::<Float64Type>().iter().map(|number| number.map(Truth::Value)).collect());
        }
        let class = |label: String| self.classes.iter().position(|class| *class == label);
        let labels = class_labels(&self.target, array)?.into_iter();
        Ok(labels.map(|label| label.and_then(class).map(|class| Truth::Class(class as u32))).collect())
    }

    /// Rows' targets as boosting takes them.
    pub(crate) fn learnable(&self, rows: impl Iterator<Item = Truth>) -> boost::Target {
        if self.task == Task::Regression {
            return boost::Target::Values(rows.map(Truth::number).collect());
        }
        let of = rows.map(|truth| truth.number() as u32).collect();
        boost::Target::Classes { of, count: self.classes.len() }
    }
}

/// One row's target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Truth {
    Class(u32),
    Value(f64),
}

impl Truth {
    /// The value, or the class's place: what categories are ordered by.
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::Class(class) => f64::from(class),
            Self::Value(value) => value,
        }
    }

    /// The group whose share the split keeps.
    pub(crate) fn stratum(self) -> u32 {
        match self {
            Self::Class(class) => class,
            Self::Value(_) => 0,
        }
    }
}

fn classes(name: &str, array: &ArrayRef) -> Result<Vec<String>, RecipeError> {
    let distinct: BTreeSet<String> = class_labels(name, array)?.into_iter().flatten().collect();
    let mut classes: Vec<String> = distinct.into_iter().collect();
    if array.data_type().is_numeric() {
        let number = |label: &String| label.parse().unwrap_or(f64::INFINITY);
        classes.sort_by(|left, right| number(left).total_cmp(&number(right)));
    }
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn goal(array: impl Array + 'static, task: &str) -> Result<Goal, String> {
        let batch = RecordBatch::try_from_iter([("y", Arc::new(array) as ArrayRef)]).unwrap();
        let options = Line::parse_from(["recipe", "--target", "y", "--task", task]).options;
        let batch = rows_with_target(&batch, &options).map_err(|error| error.to_string())?;
        Goal::of(&batch, &options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_task_follows_the_target_s_type_and_values() {
        let integers = |values: &[i64]| Int64Array::from(values.to_vec());
        assert_eq!(goal(integers(&[0, 1, 1]), "auto").unwrap().task, Task::Binary);
        assert_eq!(goal(integers(&[3, 1, 2]), "auto").unwrap().task, Task::Regression);
        assert_eq!(goal(Float64Array::from(vec![0.0, 1.0]), "auto").unwrap().task, Task::Regression);
        assert_eq!(goal(BooleanArray::from(vec![true, false]), "auto").unwrap().classes, ["false", "true"]);
        assert_eq!(goal(StringArray::from(vec!["b", "a", "c"]), "auto").unwrap().classes, ["a", "b", "c"]);
        let tens = goal(integers(&[10, 9, 8]), "classification").unwrap();
        assert_eq!((tens.task, tens.classes), (Task::Multiclass, vec!["8".into(), "9".into(), "10".into()]));
    }

    #[test]
    fn a_target_that_cannot_be_learned_is_refused_with_the_reason() {
        let one = goal(StringArray::from(vec!["a", "a"]), "auto").unwrap_err();
        assert_eq!(one, r#"the target "y" is "a" in every row; two classes are needed"#);
        let none = goal(StringArray::from(vec![None::<&str>, None]), "auto").unwrap_err();
        assert_eq!(none, r#"the target "y" has no value in any row"#);
        let text = goal(StringArray::from(vec!["a", "b"]), "regression").unwrap_err();
        assert!(text.contains("a regression needs a number"), "{text}");
        let key = goal(Int64Array::from((0..200).collect::<Vec<_>>()), "classification").unwrap_err();
        assert!(key.contains("has 200 classes, more than 100"), "{key}");
    }

    #[test]
    fn a_mistyped_target_is_answered_with_the_nearest_column() {
        let batch = RecordBatch::try_from_iter([("species", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        let error = column(&batch, "specis", "target").unwrap_err().to_string();
        assert!(error.contains(r#"no column "specis" for --target; did you mean "species"?"#), "{error}");
    }
}
