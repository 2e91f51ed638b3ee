//! Training as a run of a compiled Kubeflow pipeline.
