# Training programs run as one Kubernetes service account, which is the training account to Google's APIs.
resource "google_service_account_iam_member" "training" {
  service_account_id = var.training_account.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${google_container_cluster.this.workload_identity_config[0].workload_pool}[${var.training_account.namespace}/${var.training_account.kubernetes_name}]"
}
