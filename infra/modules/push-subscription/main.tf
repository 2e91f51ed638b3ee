locals {
  service_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription" "this" {
  project = var.project
  name    = var.name
  topic   = var.topic
  filter  = var.filter
  labels  = var.labels

  # For a push this is the request's time limit too: longer than the function takes at most, or Pub/Sub sends the message
  # again while the first delivery is at work.
  ack_deadline_seconds       = var.ack_deadline_seconds
  message_retention_duration = "604800s"
  enable_message_ordering    = var.ordered

  push_config {
    push_endpoint = var.endpoint

    oidc_token {
      service_account_email = var.invoker
      audience              = var.audience
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = var.dead_letter_topic
    max_delivery_attempts = var.max_delivery_attempts
  }

  expiration_policy {
    ttl = "" # Never: by default an idle subscription is gone after 31 days.
  }

  lifecycle {
    precondition {
      condition     = length(var.filter) <= 256
      error_message = "Pub/Sub takes a filter of at most 256 bytes."
    }
  }
}

# To forward a dead letter, Pub/Sub's service agent acknowledges it here.
resource "google_pubsub_subscription_iam_member" "forward_dead_letters" {
  project      = var.project
  subscription = google_pubsub_subscription.this.name
  role         = "roles/pubsub.subscriber"
  member       = local.service_agent
}
