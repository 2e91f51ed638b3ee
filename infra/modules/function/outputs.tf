output "name" {
  description = "The service's name."
  value       = google_cloud_run_v2_service.this.name
}

output "uri" {
  description = "Where it answers, known once its callers may call it."
  value       = google_cloud_run_v2_service.this.uri

  depends_on = [google_cloud_run_v2_service_iam_member.invoker]
}

output "audience" {
  description = "The audience a token for it must name."
  value       = local.audience
}
