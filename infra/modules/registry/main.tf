resource "google_artifact_registry_repository" "this" {
  #checkov:skip=CKV_GCP_84:A customer-managed key is the caller's choice (kms_key); Google's own encrypts otherwise
  project       = var.project
  location      = var.region
  repository_id = var.name
  description   = "Millstream's images, built, scanned and signed by Cloud Build."
  format        = "DOCKER"
  labels        = var.labels
  kms_key_name  = var.kms_key

  # A tag says for ever what it said first.
  docker_config {
    immutable_tags = true
  }

  vulnerability_scanning_config {
    enablement_config = "INHERITED"
  }

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"
    condition {
      tag_state  = "UNTAGGED"
      older_than = "${var.untagged_days * 24 * 60 * 60}s"
    }
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = var.keep
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "access" {
  for_each = var.access

  project    = var.project
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.name
  role       = each.value.role
  member     = each.value.member
}
