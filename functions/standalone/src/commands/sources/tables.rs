//! Tables by name and by pattern, and what they look like.

use std::sync::Arc;

use anyhow::bail;
use futures::{StreamExt, TryStreamExt};
use millstream_events::extract::{Cells, Selection, Sheet};
use millstream_ports::source::{Shape, Source, TableSummary};

use super::which::Chosen;

/// Tables that are looked at at once.
const AT_ONCE: usize = 4;

/// A table, query or sheet, and what it looks like.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Looked {
    /// For people, and to make names of.
    pub(super) name: String,
    pub(super) select: Selection,
    pub(super) shape: Shape,
}

/// What the patterns name of a database, or of a workbook; without patterns what the source reads itself.
pub(super) async fn look(
    source: &Arc<dyn Source>,
    chosen: &Chosen,
    patterns: &[String],
) -> anyhow::Result<Vec<Looked>> {
    let selections = match (chosen.workbook(), &chosen.select) {
        (Some(sheet), _) => sheets(sheet, patterns),
        (None, Some(select)) if patterns.is_empty() => vec![(named(select), select.clone())],
        (None, _) => {
            let tables = source.tables().await?;
            let names = matching(&tables, patterns)?;
            names.into_iter().map(|name| (name.to_owned(), Selection::Table(name.to_owned()))).collect()
        }
    };
    let looks: Vec<_> = selections
        .into_iter()
        .map(|(name, select)| {
            let source = source.clone();
            async move {
                let shape = source.describe(&select).await?;
                anyhow::Ok(Looked { name, select, shape })
            }
        })
        .collect();
    futures::stream::iter(looks).buffered(AT_ONCE).try_collect().await
}

/// What a source reads, in a word.
fn named(select: &Selection) -> String {
    match select {
        Selection::Table(name) => name.clone(),
        Selection::Query(_) => "query".to_owned(),
        Selection::Sheet(sheet) => sheet_name(sheet),
    }
}

fn sheet_name(sheet: &Sheet) -> String {
    let file = sheet.object.name().rsplit('/').next().unwrap_or_default();
    sheet.cells.sheet.clone().unwrap_or_else(|| file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned())
}

/// The sheets of a workbook are named, not listed.
fn sheets(sheet: &Sheet, names: &[String]) -> Vec<(String, Selection)> {
    let named = |sheet: Sheet| (sheet_name(&sheet), Selection::Sheet(sheet));
    if names.is_empty() {
        return vec![named(sheet.clone())];
    }
    names
        .iter()
        .map(|name| {
            let cells = Cells { sheet: Some(name.clone()), ..Cells::default() };
            named(Sheet { object: sheet.object.clone(), cells })
        })
        .collect()
}

/// The tables that any of the patterns names, each once, in the source's order.
pub(super) fn matching<'a>(tables: &'a [TableSummary], patterns: &[String]) -> anyhow::Result<Vec<&'a str>> {
    let names = || tables.iter().map(|table| table.name.as_str());
    for pattern in patterns {
        if !names().any(|name| matches(pattern, name)) {
            let few: Vec<&str> = names().take(5).collect();
            let few = match few.as_slice() {
                [] => "this user may read no table at all".to_owned(),
                few if few.len() < tables.len() => {
                    format!("there are {} tables, such as {}", tables.len(), few.join(", "))
                }
                few => format!("there are {}", few.join(", ")),
            };
            bail!("no table is called {pattern}: {few}");
        }
    }
    Ok(names().filter(|name| patterns.iter().any(|pattern| matches(pattern, name))).collect())
}

/// Whether a name is the pattern's, in which `*` stands for any characters, also none.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((end, middle)) = parts.split_last() else { return true };
    for part in middle {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(names: &[&str]) -> Vec<TableSummary> {
        names
            .iter()
            .map(|name| TableSummary { name: (*name).to_owned(), rows: None, bytes: None, is_view: false })
            .collect()
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("public.*", "public.orders", true),
            ("public.*", "audit.orders", false),
            ("*", "public.orders", true),
            ("*.orders", "public.orders", true),
            ("*.orders", "public.orders_old", false),
            ("p*.o*s", "public.orders", true),
            ("p*.o*s", "public.order", false),
            ("a*a", "a", false),
            ("public.orders", "public.orders", true),
            ("public.order", "public.orders", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn tables_are_taken_once_and_a_pattern_that_names_none_is_an_error() {
        let all = tables(&["audit.log", "public.items", "public.orders"]);
        let patterns = ["public.*".to_owned(), "*.orders".to_owned()];
        assert_eq!(matching(&all, &patterns).unwrap(), ["public.items", "public.orders"]);
        let error = matching(&all, &["public.order".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("public.order:") && error.contains("audit.log, public.items"), "{error}");
    }
}
