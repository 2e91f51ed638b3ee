locals {
  service_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "this" {
  #checkov:skip=CKV_GCP_83:A customer-managed key is the caller's choice (kms_key); Google's own encrypts otherwise
  project      = var.project
  name         = var.name
  labels       = var.labels
  kms_key_name = var.kms_key

  # What was published can be delivered again to a subscription (seek), acknowledged or not.
  message_retention_duration = var.retention

  dynamic "message_storage_policy" {
    for_each = var.region[*]
    content {
      allowed_persistence_regions = [message_storage_policy.value]
    }
  }
}

resource "google_pubsub_topic" "dead_letters" {
  #checkov:skip=CKV_GCP_83:A customer-managed key is the caller's choice (kms_key); Google's own encrypts otherwise
  project      = var.project
  name         = "${var.name}-dead-letters"
  labels       = var.labels
  kms_key_name = var.kms_key

  dynamic "message_storage_policy" {
    for_each = var.region[*]
    content {
      allowed_persistence_regions = [message_storage_policy.value]
    }
  }
}

# A topic without a subscription keeps nothing: dead letters wait here until a person has looked at them.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s" # 31 days, the most there is.

  expiration_policy {
    ttl = "" # Never: by default an idle subscription is gone after 31 days.
  }
}

resource "google_pubsub_topic_iam_member" "access" {
  for_each = var.access

  project = var.project
  topic   = google_pubsub_topic.this.name
  role    = each.value.role
  member  = each.value.member
}

# Pub/Sub forwards a dead letter as its own service agent, and loses it where it may not.
resource "google_pubsub_topic_iam_member" "forward_dead_letters" {
  project = var.project
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.service_agent
}
