output "project" {
  description = "The project's id, known once every API is enabled: pass it on, and what uses it waits."
  value       = var.project

  depends_on = [google_project_service.this]
}
