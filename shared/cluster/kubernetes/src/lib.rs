//! Training on Kubernetes: Kubeflow's TrainJob and PyTorchJob, and KubeRay's RayJob.
