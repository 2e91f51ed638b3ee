locals {
  subscription_filter = join(" OR ", [for name in var.subscriptions : "resource.labels.subscription_id=\"${name}\""])
  dead_letter_filter  = join(" OR ", [for name in var.dead_letter_subscriptions : "resource.labels.subscription_id=\"${name}\""])
  service_filter      = join(" OR ", [for name in var.functions : "resource.labels.service_name=\"${name}\""])

  channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  # What every policy of a threshold has: a name, what is wrong in a sentence, when it is. The guide has a section for each.
  thresholds = {
    dead-letters = {
      title     = "Messages could not be delivered"
      severity  = "ERROR"
      filter    = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND (${local.dead_letter_filter})"
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_SUM"
      group_by  = ["resource.label.subscription_id"]
      period    = "60s"
      duration  = "0s"
      threshold = 0
    }
    steps-failed = {
      title     = "A step failed"
      severity  = "WARNING"
      filter    = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/millstream/steps_failed\""
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      group_by  = ["metric.label.function"]
      period    = "300s"
      duration  = "0s"
      threshold = 0
    }
    pushes-refused = {
      title     = "Deliveries are refused"
      severity  = "ERROR"
      filter    = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/push_request_count\" AND metric.labels.response_class!=\"ack\" AND (${local.subscription_filter})"
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      group_by  = ["resource.label.subscription_id"]
      period    = "300s"
      duration  = "900s"
      threshold = var.limits.refused_pushes
    }
    messages-wait = {
      title     = "Messages wait too long"
      severity  = "ERROR"
      filter    = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND (${local.subscription_filter})"
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      group_by  = ["resource.label.subscription_id"]
      period    = "60s"
      duration  = "300s"
      threshold = var.limits.oldest_message_seconds
    }
    function-errors = {
      title     = "A function answers with errors"
      severity  = "ERROR"
      filter    = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\" AND (${local.service_filter})"
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      group_by  = ["resource.label.service_name"]
      period    = "300s"
      duration  = "600s"
      threshold = var.limits.server_errors
    }
    bytes-scanned = {
      title     = "BigQuery scans more than planned"
      severity  = "WARNING"
      filter    = "resource.type=\"global\" AND metric.type=\"bigquery.googleapis.com/query/statement_scanned_bytes_billed\""
      aligner   = "ALIGN_SUM"
      reducer   = "REDUCE_SUM"
      group_by  = []
      period    = "86400s"
      duration  = "0s"
      threshold = var.limits.scanned_gib_per_day * 1024 * 1024 * 1024
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.project
  display_name = "Millstream: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.thresholds

  project               = var.project
  display_name          = "Millstream: ${each.value.title}"
  severity              = each.value.severity
  combiner              = "OR"
  notification_channels = local.channels
  user_labels           = var.labels

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration

      aggregations {
        alignment_period     = each.value.period
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }

      trigger {
        count = 1
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "What to do: ${var.guide}#${each.key}"
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [terraform_data.metrics_are_known]
}

resource "google_monitoring_alert_policy" "sweep_is_silent" {
  project               = var.project
  display_name          = "Millstream: The sweep is silent"
  severity              = "CRITICAL"
  combiner              = "OR"
  notification_channels = local.channels
  user_labels           = var.labels

  # Levels make it right: with no sweep, an event that was lost stays lost.
  conditions {
    display_name = "No sweep was answered for ten minutes"

    condition_absent {
      filter   = "resource.type=\"cloud_scheduler_job\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.sweeps.name}\""
      duration = "600s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }

      trigger {
        count = 1
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "What to do: ${var.guide}#sweep-is-silent"
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [terraform_data.metrics_are_known]
}
