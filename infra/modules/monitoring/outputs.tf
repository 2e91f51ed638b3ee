output "notification_channels" {
  description = "The channels that are told, for the budget too."
  value       = local.channels
}

output "dashboard" {
  description = "The dashboard's resource name."
  value       = google_monitoring_dashboard.this.id
}
