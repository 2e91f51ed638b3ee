//! Ad-hoc queries: read-only, bounded, their values as JSON.

use millstream_events::contract::Column;
use millstream_ports::{JobState, PortError, PortResult, QueryAnswer};
use millstream_sql::{Select, SqlError};
use serde_json::json;

use crate::{
    BigQueryWarehouse,
    model::{Field, Labels, Outcome},
    schema, values,
};

/// How often a running query is asked for its rows, at some seconds each.
const ASKS: u32 = 30;

/// A statement that cannot be used.
pub(crate) fn invalid_sql(error: &SqlError) -> PortError {
    let place = error.offset.map_or_else(String::new, |at| format!(" (at byte {at})"));
    let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
    PortError::invalid(format!("{error}{place}{hint}"))
}

impl BigQueryWarehouse {
    /// See `Warehouse::query`.
    pub(crate) async fn answer(&self, sql: &str, limit: usize) -> PortResult<QueryAnswer> {
        let doing = "run this query";
        Select::parse(sql).map_err(|error| invalid_sql(&error))?;
        self.preview(doing, sql).await?;
        self.select(doing, sql, limit).await
    }

    /// The columns a SELECT would give. A dry run costs nothing and says what BigQuery takes the statement for: anything
    /// but a SELECT is refused.
    pub(crate) async fn preview(&self, doing: &str, sql: &str) -> PortResult<Vec<Field>> {
        let mut configuration = self.statement(sql, Labels::new());
        configuration["dryRun"] = json!(true);
        let dry = self.api.insert(doing, None, &configuration).await?.unwrap_or_default();
        if let Outcome::Failed(problem) = dry.outcome() {
            return Err(problem.into_error(doing));
        }
        let query = dry.statistics.query;
        match query.statement_type.as_deref() {
            Some("SELECT") => Ok(query.schema.unwrap_or_default().fields),
            other => Err(PortError::invalid(format!(
                "cannot {doing}: it is {}, and only a SELECT is read here",
                other.unwrap_or("no statement that BigQuery knows")
            ))),
        }
    }

    /// Runs a SELECT and gives its first rows.
    pub(crate) async fn select(&self, doing: &str, sql: &str, limit: usize) -> PortResult<QueryAnswer> {
        let (id, _): (String, JobState<_>) = self.run(doing, sql).await?;
        // One row more than asked for tells whether there were more.
        for _ in 0..ASKS {
            let answer = self.api.results(doing, &id, limit.saturating_add(1)).await?;
            if answer.job_complete != Some(true) {
                continue;
            }
            let columns: Vec<Column> = schema::columns(&answer.schema.unwrap_or_default().fields)?;
            let total: usize = answer.total_rows.as_deref().and_then(|rows| rows.parse().ok()).unwrap_or_default();
            let rows = answer.rows.unwrap_or_default().into_iter().take(limit);
            let rows = rows.map(|row| values::row(&columns, row)).collect::<PortResult<Vec<_>>>()?;
            // A page holds at most 10 MB, whatever was asked for.
            let truncated = total > rows.len();
            return Ok(QueryAnswer { columns, rows, truncated });
        }
        Err(PortError::unavailable(format!(
            "cannot {doing}: the job {id} still runs; ask for less, or let a model compute it"
        )))
    }
}
