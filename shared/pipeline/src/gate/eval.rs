//! A gate against a version's metrics and the champion's.

use super::{Comparison, Condition, Gate, GateCheck, Metrics, Number, Operator};

impl Gate {
    /// Judges a version by its metrics and by those of the serving version, if there is one.
    ///
    /// A condition that mentions the champion passes when there is none: someone has to be the first. A metric that is not
    /// there, or a number that is none (0 / 0), fails: what cannot be judged is not promoted.
    #[must_use]
    pub fn check(&self, metrics: &Metrics, champion: Option<&Metrics>) -> GateCheck {
        let (passed, because) = if self.mentions_champion() && champion.is_none() {
            (true, "there is no champion to compare with".to_owned())
        } else {
            let versions = Versions { metrics, champion };
            match versions.holds(&self.condition) {
                Ok(holds) => {
                    let verb = if holds { "holds" } else { "does not hold" };
                    (holds, format!("{verb}{}", versions.explain(&self.condition)))
                }
                Err(reason) => (false, reason),
            }
        };
        GateCheck { expression: self.text.clone(), passed, because }
    }
}

struct Versions<'a> {
    metrics: &'a Metrics,
    champion: Option<&'a Metrics>,
}

impl Versions<'_> {
    fn holds(&self, condition: &Condition) -> Result<bool, String> {
        Ok(match condition {
            Condition::Compare(left, comparison, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                match comparison {
                    Comparison::Less => left < right,
                    Comparison::AtMost => left <= right,
                    Comparison::Greater => left > right,
                    Comparison::AtLeast => left >= right,
                    Comparison::Equal => left == right,
                    Comparison::Unequal => left != right,
                }
            }
            // Both sides are always looked at: a metric that is missing is told whatever the other side says.
            Condition::And(left, right) => self.holds(left)? & self.holds(right)?,
            Condition::Or(left, right) => self.holds(left)? | self.holds(right)?,
            Condition::Not(inner) => !self.holds(inner)?,
        })
    }

    fn number(&self, number: &Number) -> Result<f64, String> {
        let value = match number {
            Number::Literal(value) => *value,
            Number::Metric(name) => {
                *self.metrics.get(name).ok_or_else(|| missing(name, "this version", self.metrics))?
            }
            Number::Champion(name) => {
                let champion = self.champion.ok_or("there is no champion to compare with")?;
                *champion.get(name).ok_or_else(|| missing(name, "the champion", champion))?
            }
            Number::Negate(inner) => -self.number(inner)?,
            Number::Arithmetic(left, operator, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                }
            }
        };
        if value.is_nan() {
            return Err(match number {
                Number::Metric(name) => format!("the metric {name} is not a number"),
                Number::Champion(name) => format!("the champion's metric {name} is not a number"),
                _ => "the arithmetic gives no number, such as 0 / 0".to_owned(),
            });
        }
        Ok(value)
    }

    /// ` with auc_pr = 0.81, champion.auc_pr = 0.8`.
    fn explain(&self, condition: &Condition) -> String {
        let mut known: Vec<String> = Vec::new();
        for number in condition.numbers() {
            let text = match (number, self.number(number)) {
                (Number::Metric(name), Ok(value)) => format!("{name} = {value}"),
                (Number::Champion(name), Ok(value)) => format!("champion.{name} = {value}"),
                _ => continue,
            };
            if !known.contains(&text) {
                known.push(text);
            }
        }
        if known.is_empty() { String::new() } else { format!(" with {}", known.join(", ")) }
    }
}

fn missing(name: &str, whose: &str, metrics: &Metrics) -> String {
    let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
    let there_are = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    format!("{whose} has no metric {name}; {there_are}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(pairs: &[(&str, f64)]) -> Metrics {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    fn check(text: &str, champion: Option<&Metrics>) -> (bool, String) {
        let version = metrics(&[("auc_pr", 0.8), ("loss", 0.5), ("odd", f64::NAN)]);
        let check = Gate::parse(text).unwrap().check(&version, champion);
        assert_eq!(check.expression, text);
        (check.passed, check.because)
    }

    #[test]
    fn a_condition_holds_or_not_and_says_with_what_numbers() {
        assert_eq!(check("auc_pr >= 0.75", None), (true, "holds with auc_pr = 0.8".into()));
        assert_eq!(check("auc_pr > 0.9", None), (false, "does not hold with auc_pr = 0.8".into()));
        assert_eq!(check("1 > 2", None), (false, "does not hold".into()));
    }

    #[test]
    fn precedence_is_that_of_arithmetic_and_of_sql() {
        assert!(check("1 + 2 * 3 == 7", None).0);
        assert!(check("(1 + 2) * 3 == 9", None).0);
        assert!(check("10 - 2 - 3 = 5", None).0);
        assert!(check("-loss < 0", None).0);
        assert!(check("1 > 2 and 1 > 2 or 2 > 1", None).0);
        assert!(!check("1 > 2 and (1 > 2 or 2 > 1)", None).0);
        assert!(check("NOT 1 > 2 AND 2 > 1", None).0);
        assert!(check("auc_pr <> 1 and auc_pr != 2 and 1e-3 < auc_pr", None).0);
    }

    #[test]
    fn the_champion_is_compared_with_when_there_is_one() {
        let better = metrics(&[("auc_pr", 0.9)]);
        let gate = "auc_pr >= champion.auc_pr - 0.002";
        assert_eq!(check(gate, None), (true, "there is no champion to compare with".into()));
        assert_eq!(
            check(gate, Some(&better)),
            (false, "does not hold with auc_pr = 0.8, champion.auc_pr = 0.9".into())
        );
        assert!(check(gate, Some(&metrics(&[("auc_pr", 0.8019)]))).0);
    }

    #[test]
    fn what_cannot_be_judged_is_not_promoted() {
        assert_eq!(check("auc > 0", None), (false, "this version has no metric auc; it has auc_pr, loss, odd".into()));
        assert!(!check("1 > 0 or auc > 0", None).0);
        let champion = metrics(&[]);
        assert_eq!(check("loss < champion.loss", Some(&champion)).1, "the champion has no metric loss; it has none");
        assert_eq!(check("not odd > 1", None), (false, "the metric odd is not a number".into()));
        assert_eq!(check("not 0 / 0 > 1", None).1, "the arithmetic gives no number, such as 0 / 0");
    }
}
