//! Names of sources that are made of tables' names.

use std::collections::BTreeSet;

use super::Looked;

/// The longest name of a source.
const LONGEST_NAME: usize = 60;

/// Names of sources, and of their tables: the table's own, with its schema where two tables have one name.
pub(super) struct Names {
    doubled: BTreeSet<String>,
    taken: BTreeSet<String>,
}

impl Names {
    pub(super) fn of(looked: &[Looked]) -> Self {
        let (mut seen, mut doubled) = (BTreeSet::new(), BTreeSet::new());
        for looked in looked {
            let short = name_of(last_part(&looked.name));
            if !seen.insert(short.clone()) {
                doubled.insert(short);
            }
        }
        Self { doubled, taken: BTreeSet::new() }
    }

    pub(super) fn take(&mut self, table: &str) -> String {
        let short = name_of(last_part(table));
        let wanted = if self.doubled.contains(&short) { name_of(table) } else { short };
        let mut name = wanted.clone();
        for number in 2.. {
            if self.taken.insert(name.clone()) {
                break;
            }
            let end = format!("_{number}");
            name = format!("{}{end}", &wanted[..wanted.len().min(LONGEST_NAME - end.len())]);
        }
        name
    }
}

fn last_part(table: &str) -> &str {
    table.rsplit('.').next().filter(|part| !part.is_empty()).unwrap_or(table)
}

/// A name as a source's and a table's: lower case, with `_` for what it may not have.
fn name_of(text: &str) -> String {
    let name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let name = name.trim_matches('_');
    let name = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name.to_owned() } else { format!("t_{name}") };
    name[..name.len().min(LONGEST_NAME)].to_owned()
}
