locals {
  day_ms = 24 * 60 * 60 * 1000
}

resource "google_bigquery_dataset" "this" {
  #checkov:skip=CKV_GCP_81:A customer-managed key is the caller's choice (kms_key); Google's own encrypts otherwise
  project     = var.project
  dataset_id  = var.name
  description = var.description
  location    = var.location
  labels      = var.labels

  default_table_expiration_ms     = var.table_expiration_days == null ? null : var.table_expiration_days * local.day_ms
  default_partition_expiration_ms = var.partition_expiration_days == null ? null : var.partition_expiration_days * local.day_ms
  max_time_travel_hours           = var.time_travel_hours
  delete_contents_on_destroy      = var.force_destroy

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key[*]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_dataset_iam_member" "access" {
  for_each = var.access

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  role       = each.value.role
  member     = each.value.member
}
