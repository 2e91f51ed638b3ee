# The secret's place and who may read it. Its value never passes through Terraform, whose state anybody with the bucket
# could read: `gcloud secrets versions add NAME --data-file=-`.
resource "google_secret_manager_secret" "this" {
  project             = var.project
  secret_id           = var.name
  labels              = var.labels
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key[*]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  # A version that was destroyed by mistake can be restored this long.
  version_destroy_ttl = "604800s"
}

resource "google_secret_manager_secret_iam_member" "access" {
  for_each = var.readers

  project   = var.project
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
