//! Mistakes within one file: each at its place, with what was expected and what to do. A `«` marks the place.

use millstream_pipeline::spec::Code;

use crate::mistake;

/// Asserts on what is told; `""` means that there is to be none.
#[track_caller]
fn told(from: &str, to: &str, code: Code, message: &str, expected: &str, hint: &str) {
    let mistake = mistake(from, to);
    assert_eq!(mistake.code, code);
    assert_eq!(mistake.message, message);
    assert_eq!(mistake.expected.as_deref().unwrap_or_default(), expected);
    assert_eq!(mistake.hint.as_deref().unwrap_or_default(), hint);
}

#[test]
fn text_that_is_not_yaml_is_told_where_it_stops_being_it() {
    let mistake = mistake("refunds:\n    message: refunds", "refunds:\n    message: «]");
    assert_eq!(mistake.code, Code::Yaml);
    assert!(mistake.message.starts_with("this is not YAML: "), "{}", mistake.message);
}

#[test]
fn an_unknown_field_is_told_with_the_nearest_right_one() {
    told(
        "    max_bad: 5%",
        "    «max_bda: 5%",
        Code::UnknownField,
        "a source has no field `max_bda`",
        "one of `upload`, `message`, `extract`, `schedule`, `description`, `columns`, `expect`, `on_new_column`, `max_bad`, \
         `file`, `table`, `write`, `partition_by` and `cluster_by`",
        "did you mean `max_bad`?",
    );
}

#[test]
fn a_missing_field_is_told_at_the_record_that_needs_it() {
    told(
        "  features: {table: production.features, to:",
        "  «features: {to:",
        Code::MissingField,
        "this export needs the field `table`",
        "",
        "",
    );
}

#[test]
fn a_key_that_stands_twice_is_told_at_the_second() {
    told(
        "    data_format: jsonl",
        "    data_format: jsonl\n    «data_format: csv",
        Code::DuplicateKey,
        "`data_format` stands twice",
        "",
        "keep one of them",
    );
    told(
        "      amount: NUMERIC\n",
        "      amount: NUMERIC\n      «Amount: NUMERIC\n",
        Code::DuplicateKey,
        "`amount` and `Amount` are one column: names are compared without case",
        "",
        "keep one of them",
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_told_with_what_belongs_there() {
    told(
        "external_tables: [crm.customers]",
        "external_tables: «crm.customers",
        Code::WrongType,
        "`crm.customers` does not fit here",
        "a list",
        "write [crm.customers]",
    );
    told(
        "max_bad: 5%",
        "«max_bad: [5%]",
        Code::WrongType,
        "a list does not fit here",
        "a share such as 10%, or a number of rows",
        "",
    );
    told(
        "limits: {wall: 4h}",
        "limits: «4h",
        Code::WrongType,
        "`4h` does not fit here",
        "a set of limits: a map of `wall`, `expected`, `cost_usd` and `nodes`",
        "",
    );
}

#[test]
fn an_unknown_choice_is_told_with_the_choices_and_the_nearest() {
    told(
        "on_new_column: reject",
        "on_new_column: «rejct",
        Code::UnknownValue,
        "`rejct` is not one of the choices",
        "one of `add`, `ignore` and `reject`",
        "did you mean `reject`?",
    );
    told(
        "apiVersion: millstream.dev/v1",
        "apiVersion: «millstream.dev/v2",
        Code::UnknownValue,
        "`millstream.dev/v2` is not one of the choices",
        "one of `millstream.dev/v1`",
        "did you mean `millstream.dev/v1`?",
    );
    told(
        "run_on: local",
        "run_on: «kubflow",
        Code::UnknownValue,
        "`kubflow` is not one of the choices",
        "one of `local`, `kubeflow`, `kubeflow-v1`, `kubeflow-pipeline`, `ray`, `ray-cluster` and `vertex`",
        "did you mean `kubeflow`?",
    );
}

#[test]
fn a_text_that_breaks_its_rule_is_told_with_the_rule() {
    told(
        "name: fraud\n",
        "name: «Fraud\n",
        Code::InvalidValue,
        "`Fraud` is not a valid pipeline name",
        "a name by the rule: use 1 to 40 of a-z, 0-9 and -, starting with a letter",
        "",
    );
    told(
        "amount: NUMERIC\n",
        "amount: «NUMERC\n",
        Code::InvalidValue,
        "`NUMERC` is not a BigQuery type",
        "one of STRING, BYTES, INT64, FLOAT64, NUMERIC, BIGNUMERIC, BOOL, DATE, DATETIME, TIME, TIMESTAMP, JSON, ARRAY, STRUCT",
        "did you mean `NUMERIC`?",
    );
    told(
        "bake: 10m",
        "bake: «10 parsecs",
        Code::InvalidValue,
        "`10 parsecs` is not a duration",
        "a duration, such as 90s, 15m or 4h",
        "",
    );
    told(
        "max_bad: 5%",
        "max_bad: «105%",
        Code::InvalidValue,
        "`105%` is neither a share nor a number of rows",
        "a share such as 10%, or a number of rows",
        "",
    );
    told(
        "delimiter: \";\"",
        "delimiter: «\";;\"",
        Code::InvalidValue,
        "\";;\" cannot separate fields",
        "one ASCII character, such as \";\" or \"\\t\"",
        "",
    );
    told(
        "no_header: true",
        "no_header: «maybe",
        Code::InvalidValue,
        "`maybe` is neither true nor false",
        "`true` or `false`",
        "",
    );
    told(
        "file: {format: csv, delimiter: \";\", null_values: [NA, 1.50], no_header: true}",
        "file: {format: workbook, range: «F3:B9}",
        Code::InvalidValue,
        "the range \"F3:B9\" ends before it begins",
        "cells such as B3:F200, or columns such as B:F",
        "",
    );
    told(
        "file: {format: csv, delimiter: \";\", null_values: [NA, 1.50], no_header: true}",
        "file: {format: csv, sheet: «Prices»}",
        Code::Conflict,
        "only workbooks have sheets and cells",
        "",
        "take `sheet`, `range` and `header_row` out, or write `format: workbook`",
    );
}

#[test]
fn a_cron_expression_has_five_fields() {
    let mistake = mistake("\"0 6 * * *\"", "«\"0 0 6 * * *\"");
    assert_eq!(mistake.code, Code::InvalidValue);
    assert!(mistake.message.starts_with("`0 0 6 * * *` is not a cron expression"), "{}", mistake.message);
    assert_eq!(mistake.expected.unwrap(), "five fields, such as `0 6 * * *`");
    assert_eq!(
        mistake.hint.unwrap(),
        "the fields are minute, hour, day of the month, month and day of the week, in UTC"
    );
}

#[test]
fn an_upload_pattern_is_told_at_the_part_that_is_wrong() {
    told(
        "upload: fraud/{date}/transactions*.csv",
        "upload: fraud/«{Date}/transactions*.csv",
        Code::InvalidValue,
        "`fraud/{Date}/transactions*.csv` is not an upload pattern: {Date} must be a name of a-z, 0-9 and _, such as {date}",
        "an upload pattern, such as sales/{date}/*.csv",
        "",
    );
}

#[test]
fn a_gate_is_told_at_the_part_that_is_wrong() {
    told(
        "\"auc_pr >= 0.75\"",
        "\"auc_pr >= «\"",
        Code::InvalidValue,
        "`auc_pr >= ` is not a gate: expected a metric or a number here",
        "a condition on metrics, such as auc_pr >= 0.75",
        "",
    );
}

#[test]
fn a_source_has_either_uploads_or_messages() {
    told(
        "  refunds:\n    message: refunds\n",
        "  «refunds:\n    message: refunds\n    upload: x.csv\n",
        Code::Conflict,
        "a source has `upload` or `message`, not both",
        "",
        "make it two sources with a table each",
    );
    told(
        "  refunds:\n    message: refunds\n",
        "  «refunds:\n",
        Code::MissingField,
        "the source `refunds` needs its rows",
        "`upload: folder/{date}/*.csv`, `message: topic`, or `extract: {from: ..}`",
        "",
    );
    told(
        "  refunds:\n    message: refunds\n    columns: {transaction_id: INT64}",
        "  «refunds:\n    message: refunds",
        Code::MissingField,
        "the source `refunds` needs `columns`",
        "a map from each column to its BigQuery type, such as {id: INT64 required, name: STRING}",
        "",
    );
}

#[test]
fn keys_partitions_and_clusters_are_columns_of_fitting_types() {
    told(
        "key: [transaction_id]",
        "key: [«transaction]",
        Code::Column,
        "the table has no column `transaction`",
        "one of `transaction_id`, `amount`, `day`, `tags` and `is_fraud`",
        "did you mean `transaction_id`?",
    );
    told(
        "key: [transaction_id]",
        "key: [«tags]",
        Code::Column,
        "a table cannot be merged on `tags`, which is ARRAY<STRING>",
        "a column of a type with one plain value",
        "",
    );
    told(
        "partition_by: day, cluster",
        "partition_by: «amount, cluster",
        Code::Column,
        "a table cannot be partitioned by `amount`, which is NUMERIC",
        "a DATE, DATETIME or TIMESTAMP column",
        "",
    );
    told(
        "{mode: merge, key: [transaction_id],",
        "{mode: «merge,",
        Code::MissingField,
        "a merge needs a key",
        "{mode: merge, key: [column]}: the columns that identify a row",
        "",
    );
}

#[test]
fn an_expectation_is_checked_by_the_engine_that_will_run_it() {
    told("\"amount >= 0\", unique(", "\"«amuont >= 0\", unique(", Code::Expectation, "no column amuont", "", "");
    told("unique(transaction_id)]", "unique(«id)]", Code::Expectation, "no column id", "", "");
}

#[test]
fn a_training_has_a_recipe_or_a_command_and_its_files() {
    told(
        "  fraud-trees: {data: source.transactions,",
        "  «fraud-trees: {command: [x], data: source.transactions,",
        Code::Conflict,
        "a training has a `recipe` or a program of its own, not both",
        "`recipe`, or `command`, or `image` with or without `command`",
        "",
    );
    told(
        "command: [python3, train.py]",
        "command: [python3, «trian.py]",
        Code::MissingFile,
        "there is no file trian.py in the project",
        "a path relative to the project's folder, where the program runs",
        "did you mean `train.py`?",
    );
    told(
        "  fraud-trees: {data: source.transactions, target: is_fraud, recipe: tabular}",
        "  «fraud-trees: {data: source.transactions, recipe: tabular}",
        Code::MissingField,
        "the recipe of `fraud-trees` needs a `target`",
        "the column to predict",
        "",
    );
}

#[test]
fn an_environment_leaves_the_platform_its_names_and_names_its_secrets() {
    told(
        "env: {SEED: 7}",
        "env: {«AIP_MODEL_DIR: x}",
        Code::Conflict,
        "`AIP_MODEL_DIR` is for the platform to set",
        "",
        "the AIP_ variables are the contract between the platform and the program; use another name",
    );
    told(
        "env: {SEED: 7}",
        "env: {TOKEN: «secret:open.sesame}",
        Code::InvalidValue,
        "that is no secret's name",
        "1 to 255 letters, digits, - and _, such as secret:crm-password",
        "",
    );
}

#[test]
fn canary_steps_ascend_to_a_hundred() {
    for steps in ["[10, 50, «60]", "[50, «10, 100]"] {
        told(
            "steps: [10, 50, 100]",
            &format!("steps: {steps}"),
            Code::InvalidValue,
            "canary steps ascend, and the last is 100",
            "percentages such as [10, 50, 100]",
            "",
        );
    }
    told(
        "  fraud-classifier:\n    endpoint: fraud\n    promote_when: [\"auc_pr >= 0.75\", \"auc_pr >= champion.auc_pr - 0.002\"]\n    canary: {steps: [10, 50, 100], ",
        "  «fraud-classifier:\n    endpoint: fraud\n    canary: {",
        Code::MissingField,
        "the canary of `fraud-classifier` needs `steps`",
        "percentages such as [10, 50, 100]",
        "",
    );
}

#[test]
fn a_canarys_limits_are_a_time_and_a_number_above_nothing() {
    for (latency, problem) in
        [("200", "`200` is not a time"), ("fast", "`fast` is not a time"), ("0ms", "no answer takes `0ms`")]
    {
        told(
            "max_latency: 200ms",
            &format!("max_latency: «{latency}"),
            Code::InvalidValue,
            problem,
            "a time such as 200ms or 1s",
            "",
        );
    }
    for shift in ["0", "-0.1", "10%", "inf"] {
        told(
            "max_score_shift: 0.1",
            &format!("max_score_shift: «{shift}"),
            Code::InvalidValue,
            &format!("`{shift}` is no shift of a score"),
            "a number above 0",
            "a classification's score is a probability, a regression's the value itself",
        );
    }
}

#[test]
fn a_window_is_for_appended_files_and_not_for_longer_than_a_day() {
    told(
        "write: {mode: merge, key: [transaction_id], partition_by: day, cluster_by: [amount]}",
        "write: {mode: merge, key: [transaction_id], window: «5m}",
        Code::Conflict,
        "only appended files are gathered by a `window`",
        "{mode: append, window: 5m}",
        "take `window` out: of replaced files only the newest is loaded, and merges go in one after the other",
    );
    told("window: 5m}", "window: «25h}", Code::InvalidValue, "files wait for a day at most", "24h or less", "");
    told(
        "{sql: staging/clean.sql, write: replace,",
        "{sql: staging/clean.sql, write: {mode: append, window: «5m},",
        Code::Conflict,
        "a model gathers no files",
        "",
        "take `window` out; it belongs to a source that appends",
    );
}
