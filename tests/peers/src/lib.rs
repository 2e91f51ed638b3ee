//! Real protocol peers, started by the tests that need them and ended with them.
//!
//! | peer                                     | from                                                          |
//! |------------------------------------------|---------------------------------------------------------------|
//! | Google's Pub/Sub emulator                | the Google Cloud CLI's component `pubsub-emulator`, Java       |
//! | fake-gcs-server                          | `tests/python/peers.txt`, installed by `make test`             |
//! | bqemulator                               | `tests/python/peers.txt`, installed by `make test`             |
//! | a small Kubernetes API server            | [`kubernetes`], in the test's own process                      |
//! | Ray                                      | `tests/python/ray.txt`, installed by `make test`               |
//! | pysqlbridge, for SQL Server's protocol    | `tests/python/sources.txt`, installed by `make test`           |
//! | SecantusDB, for MongoDB's protocol         | `tests/python/sources.txt`, installed by `make test`; openssl |
//! | fakesnow, for Snowflake's protocol         | `tests/python/sources.txt`, installed by `make test`           |
//! | MariaDB                                  | Debian's `mariadb-server`, by `make databases`                 |
//! | PostgreSQL                               | Debian's `postgresql`, by `make databases`; openssl            |
//! | the fake Vertex AI                       | `tests/python/fake_vertex`, with Google's messages of `make peers` |
//!
//! A peer that cannot be started is a failed test that says what is missing, never a skipped one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

pub mod bigquery;
pub mod fake_gcs;
pub mod http;
pub mod kubernetes;
pub mod mariadb;
pub mod mongodb;
pub mod postgres;
pub mod process;
pub mod pubsub;
pub mod ray;
pub mod snowflake;
pub mod sqlserver;
pub mod vertex;

pub use postgres::{Postgres, PostgresSettings};
pub use process::{Peer, free_port, peers_bin};
