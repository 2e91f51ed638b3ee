resource "google_monitoring_dashboard" "this" {
  project = var.project
  dashboard_json = templatefile("${path.module}/dashboard.json.tftpl", {
    dead_letter_filter  = jsonencode("resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND (${local.dead_letter_filter})")
    backlog_filter      = jsonencode("resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND (${local.subscription_filter})")
    age_filter          = jsonencode("resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND (${local.subscription_filter})")
    request_filter      = jsonencode("resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND (${local.service_filter})")
    latency_filter      = jsonencode("resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_latencies\" AND (${local.service_filter})")
    instance_filter     = jsonencode("resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/container/instance_count\" AND (${local.service_filter})")
    steps_failed_filter = jsonencode("resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.steps_failed.name}\"")
    sweep_filter        = jsonencode("resource.type=\"cloud_scheduler_job\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.sweeps.name}\"")
    scanned_filter      = jsonencode("resource.type=\"global\" AND metric.type=\"bigquery.googleapis.com/query/statement_scanned_bytes_billed\"")
  })

  depends_on = [terraform_data.metrics_are_known]
}
