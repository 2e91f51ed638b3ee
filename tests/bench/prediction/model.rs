//! The model that is served: gradient-boosted trees of a common size, and what it is asked.

use std::{fmt::Write, fs, path::Path};

use millstream_recipe_tabular::{Environment, Options, TaskChoice, run};

/// Numbers of an instance.
const FEATURES: u64 = 20;

/// Rows to learn from.
const ROWS: u64 = 5_000;

/// Different requests.
pub(crate) const REQUESTS: usize = 64;

/// Trains the model into a folder: two classes, up to 100 trees of up to five splits.
pub(crate) fn train(folder: &Path) {
    let rows = folder.join("rows.csv");
    fs::write(&rows, table()).unwrap();
    let environment = Environment::from_lookup(|name| match name {
        "AIP_TRAINING_DATA_URI" => Some(rows.display().to_string()),
        "AIP_DATA_FORMAT" => Some("csv".to_owned()),
        "AIP_MODEL_DIR" => Some(folder.display().to_string()),
        _ => None,
    });
    let options = Options {
        target: "is_bad".to_owned(),
        task: TaskChoice::Classification,
        exclude: Vec::new(),
        trees: 100,
        learning_rate: 0.1,
        max_depth: 5,
        min_child_rows: 5,
        l2: 1.0,
        test_share: 0.2,
        patience: 100,
        seed: 42,
    };
    run(&options, &environment.unwrap(), &mut Vec::new()).unwrap();
}

fn table() -> String {
    let mut csv = (0..FEATURES).map(|feature| format!("f{feature},")).collect::<String>() + "is_bad\n";
    for row in 0..ROWS {
        let values: Vec<f64> = (0..FEATURES).map(|feature| value(row, feature)).collect();
        let is_bad = values[0] * values[1] + values[2] - values[3] * values[4] > 0.4 + 0.2 * value(row, FEATURES);
        for value in values {
            write!(csv, "{value:.4},").unwrap();
        }
        writeln!(csv, "{}", if is_bad { "yes" } else { "no" }).unwrap();
    }
    csv
}

/// The body of a request with one instance, by name.
pub(crate) fn instance(number: usize) -> String {
    let row = ROWS + number as u64;
    let fields: Vec<String> =
        (0..FEATURES).map(|feature| format!("\"f{feature}\": {:.4}", value(row, feature))).collect();
    format!("{{\"instances\": [{{{}}}]}}", fields.join(", "))
}

/// A number from 0 to 1 that only looks like chance: SplitMix64's finaliser.
fn value(row: u64, feature: u64) -> f64 {
    let mut bits = (row << 8 | feature).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
