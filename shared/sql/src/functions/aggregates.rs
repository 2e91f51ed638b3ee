//! Aggregates and window functions.
//!
//! The clauses inside an aggregate's parentheses are marked as arguments: see `mark`.

use super::{Family, Rule};
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
    // DuckDB's count_if of only NULLs is NULL.
    ("COUNTIF", Template(&[(1, "count(CASE WHEN {0} THEN 1 END)")])),
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

/// The arguments of `ARRAY_AGG` or `STRING_AGG`. Its clauses come as arguments of their own: `ORDER BY x`, `LIMIT n`.
struct Parts<'a> {
    distinct: &'static str,
    value: &'a str,
    second: Option<&'a str>,
    ignore_nulls: bool,
    order: String,
    limit: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(arguments: &[&'a str]) -> Result<Self, String> {
        let mut parts =
            Self { distinct: "", value: "", second: None, ignore_nulls: false, order: String::new(), limit: None };
        let mut values = Vec::new();
        for argument in arguments {
            if let Some(key) = argument.strip_prefix("ORDER BY ") {
                parts.order.push_str(if parts.order.is_empty() { " ORDER BY " } else { ", " });
                parts.order.push_str(key);
            } else if let Some(limit) = argument.strip_prefix("LIMIT ") {
                parts.limit = Some(limit);
            } else if *argument == "IGNORE NULLS" {
                parts.ignore_nulls = true;
            } else {
                values.push(*argument);
            }
        }
        let (first, rest) = values.split_first().ok_or("needs a value")?;
        parts.value = first.strip_prefix("DISTINCT ").unwrap_or(first);
        parts.distinct = if parts.value.len() < first.len() { "DISTINCT " } else { "" };
        parts.second = rest.first().copied();
        if rest.len() > 1 { Err("has too many arguments".into()) } else { Ok(parts) }
    }

    /// The values as a list: a list counts NULLs unless they are left out.
    fn list(&self, without_nulls: bool) -> String {
        let Self { distinct, value, order, .. } = self;
        let filter = if without_nulls { format!(" FILTER (WHERE ({value}) IS NOT NULL)") } else { String::new() };
        let list = format!("list({distinct}{value}{order}){filter}");
        match self.limit {
            Some(limit) => format!("({list})[1:{limit}]"),
            None => list,
        }
    }
}

fn array_agg(arguments: &[&str]) -> Result<String, String> {
    let parts = Parts::of(arguments)?;
    Ok(parts.list(parts.ignore_nulls))
}

fn string_agg(arguments: &[&str]) -> Result<String, String> {
    let parts = Parts::of(arguments)?;
    let separator = parts.second.unwrap_or("','");
    if parts.limit.is_some() {
        return Ok(format!("array_to_string({}, {separator})", parts.list(true)));
    }
    Ok(format!("string_agg({}{}, {separator}{})", parts.distinct, parts.value, parts.order))
}
