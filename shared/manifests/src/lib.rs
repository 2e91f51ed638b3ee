//! Kubernetes manifests mended before they are applied.
