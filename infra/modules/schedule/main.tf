resource "google_cloud_scheduler_job" "this" {
  project     = var.project
  region      = var.region
  name        = var.name
  description = var.description
  schedule    = var.cron
  time_zone   = var.time_zone
  paused      = var.paused

  # Longer than the function takes at most, so that a slow answer is not taken for none.
  attempt_deadline = "${var.attempt_deadline_seconds}s"

  retry_config {
    retry_count          = var.retries
    min_backoff_duration = "10s"
    max_backoff_duration = "300s"
    max_doublings        = 5
  }

  http_target {
    http_method = "POST"
    uri         = "${var.function.uri}/"
    headers     = { "Content-Type" = "application/cloudevents+json" }
    body        = base64encode(jsonencode(local.event))

    oidc_token {
      service_account_email = var.invoker
      audience              = var.function.audience
    }
  }
}

locals {
  # A CloudEvent in structured mode. When the tick was due stands in the header X-CloudScheduler-ScheduleTime.
  event = {
    specversion     = "1.0"
    id              = var.name
    type            = var.event_type
    source          = "//cloudscheduler.googleapis.com/projects/${var.project}/locations/${var.region}/jobs/${var.name}"
    datacontenttype = "application/json"
    data            = var.data
  }
}
