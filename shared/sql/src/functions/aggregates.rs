//! Aggregates and window functions.
//!
//! Their arguments' text may carry `DISTINCT`, `IGNORE NULLS`, `ORDER BY` and `LIMIT`.

use super::{Family, Rule};
use crate::lex::{self, Lexis, Token};
use Rule::{Built, Refused, Renamed, Same, Template};

pub(super) const FUNCTIONS: Family = &[
    ("ANY_VALUE", Renamed("any_value")),
    ("APPROX_COUNT_DISTINCT", Template(&[(1, "count(DISTINCT {0})")])),
    ("APPROX_QUANTILES", Built(approx_quantiles)),
    ("APPROX_TOP_COUNT", Refused("count with GROUP BY and take the first with ORDER BY .. LIMIT")),
    ("APPROX_TOP_SUM", Refused("sum with GROUP BY and take the first with ORDER BY .. LIMIT")),
    ("ARRAY_AGG", Built(array_agg)),
    ("ARRAY_CONCAT_AGG", Built(|arguments| Ok(format!("flatten({})", array_agg(arguments)?)))),
    ("AVG", Renamed("avg")),
    ("BIT_AND", Renamed("bit_and")),
    ("BIT_OR", Renamed("bit_or")),
    ("BIT_XOR", Renamed("bit_xor")),
    ("CORR", Renamed("corr")),
    ("COUNT", Same),
    ("COUNTIF", Renamed("count_if")),
    ("COVAR_POP", Renamed("covar_pop")),
    ("COVAR_SAMP", Renamed("covar_samp")),
    ("CUME_DIST", Same),
    ("DENSE_RANK", Same),
    ("FIRST_VALUE", Same),
    ("GROUPING", Renamed("grouping")),
    ("LAG", Same),
    ("LAST_VALUE", Same),
    ("LEAD", Same),
    ("LOGICAL_AND", Renamed("bool_and")),
    ("LOGICAL_OR", Renamed("bool_or")),
    ("MAX", Renamed("max")),
    ("MAX_BY", Renamed("arg_max")),
    ("MIN", Renamed("min")),
    ("MIN_BY", Renamed("arg_min")),
    ("NTH_VALUE", Same),
    ("NTILE", Same),
    ("PERCENTILE_CONT", Renamed("quantile_cont")),
    ("PERCENTILE_DISC", Renamed("quantile_disc")),
    ("PERCENT_RANK", Same),
    ("RANK", Same),
    ("ROW_NUMBER", Same),
    ("STDDEV", Renamed("stddev_samp")),
    ("STDDEV_POP", Renamed("stddev_pop")),
    ("STDDEV_SAMP", Renamed("stddev_samp")),
    ("STRING_AGG", Built(string_agg)),
    ("SUM", Renamed("sum")),
    ("VARIANCE", Renamed("var_samp")),
    ("VAR_POP", Renamed("var_pop")),
    ("VAR_SAMP", Renamed("var_samp")),
];

/// The minimum, n - 1 points between, and the maximum. BigQuery estimates them; here they are exact.
fn approx_quantiles(arguments: &[&str]) -> Result<String, String> {
    let [value, count] = arguments else { return Err("takes a value and a number of quantiles".into()) };
    let count: u32 = count.parse().map_err(|_| "needs its number of quantiles as a literal")?;
    if count == 0 || count > 10_000 {
        return Err("takes 1 to 10,000 quantiles".into());
    }
    let points: Vec<String> = (0..=count).map(|point| (f64::from(point) / f64::from(count)).to_string()).collect();
    Ok(format!("quantile_disc({value}, [{}])", points.join(", ")))
}

/// An aggregate's arguments, taken apart.
struct Parts<'a> {
    distinct: bool,
    /// The value aggregated.
    value: &'a str,
    /// A second argument.
    second: Option<&'a str>,
    ignore_nulls: bool,
    /// From `ORDER BY` on, up to `LIMIT`.
    order: String,
    limit: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Commas of ORDER BY split the text too: what comes after it is put together again.
    fn of(arguments: &'a [&'a str]) -> Result<Self, String> {
        let mut parts =
            Self { distinct: false, value: "", second: None, ignore_nulls: false, order: String::new(), limit: None };
        for (index, argument) in arguments.iter().enumerate() {
            let tokens = lex::tokens(argument, Lexis::DuckDb).map_err(|error| error.message)?;
            let clause = |first: &str, second: &str| clause(&tokens, first, second);
            let order = clause("ORDER", "BY");
            let limit = clause("LIMIT", "");
            let nulls = clause("IGNORE", "NULLS");
            if clause("HAVING", "").is_some() {
                return Err("with HAVING MAX or MIN has no translation: use MAX_BY or MIN_BY".into());
            }
            let value_end = [order, limit, nulls].into_iter().flatten().min().unwrap_or(argument.len());
            parts.ignore_nulls |= nulls.is_some();
            if let Some(limit) = limit {
                parts.limit = Some(argument[limit + "LIMIT".len()..].trim());
            }
            if !parts.order.is_empty() {
                parts.order.push_str(", ");
                parts.order.push_str(argument[..limit.unwrap_or(argument.len())].trim());
                continue;
            }
            if let Some(order) = order {
                parts.order = format!(" {}", argument[order..limit.unwrap_or(argument.len())].trim());
            }
            let value = argument[..value_end].trim();
            match index {
                0 => {
                    parts.distinct = tokens.first().is_some_and(|token| token.is_word("DISTINCT"));
                    parts.value = if parts.distinct { value["DISTINCT".len()..].trim() } else { value };
                }
                1 => parts.second = Some(value),
                _ => return Err("has too many arguments".into()),
            }
        }
        Ok(parts)
    }

    fn limited(&self, list: String) -> String {
        match self.limit {
            Some(limit) => format!("({list})[1:{limit}]"),
            None => list,
        }
    }

    fn distinct(&self) -> &'static str {
        if self.distinct { "DISTINCT " } else { "" }
    }
}

/// Where a clause of two keywords starts, outside parentheses.
fn clause(tokens: &[Token<'_>], first: &str, second: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        let follows = second.is_empty() || tokens.get(index + 1).is_some_and(|next| next.is_word(second));
        if depth == 0 && token.is_word(first) && follows {
            return Some(token.offset);
        }
    }
    None
}

fn array_agg(arguments: &[&str]) -> Result<String, String> {
    let parts = Parts::of(arguments)?;
    let filter =
        if parts.ignore_nulls { format!(" FILTER (WHERE ({}) IS NOT NULL)", parts.value) } else { String::new() };
    Ok(parts.limited(format!("list({}{}{}){filter}", parts.distinct(), parts.value, parts.order)))
}

fn string_agg(arguments: &[&str]) -> Result<String, String> {
    let parts = Parts::of(arguments)?;
    let separator = parts.second.unwrap_or("','");
    if parts.limit.is_none() {
        return Ok(format!("string_agg({}{}, {separator}{})", parts.distinct(), parts.value, parts.order));
    }
    let list = format!(
        "list({}{}{}) FILTER (WHERE ({}) IS NOT NULL)",
        parts.distinct(),
        parts.value,
        parts.order,
        parts.value
    );
    Ok(format!("array_to_string({}, {separator})", parts.limited(list)))
}
