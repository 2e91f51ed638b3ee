//! Vertex AI: custom jobs, the model registry and endpoints.
