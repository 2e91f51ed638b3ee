//! BigQuery as a warehouse.
