//! The trainer on an API server: a small one of our own, or a real one.
//!
//! `MILLSTREAM_TEST_KUBERNETES` names a real one by its kubeconfig, and `MILLSTREAM_TEST_ETCD` the URL of its etcd. In both the
//! tests play the operators: they write the status of jobs and make their pods. A real server has no kubelet here, so that
//! logs come from the small one there too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod api_rules;
mod cancel;
mod cleanup;
mod connect;
mod contract;
mod ensure;
mod logs;
mod manifests;
mod states;
mod support;
