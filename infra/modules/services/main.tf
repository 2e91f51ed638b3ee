resource "google_project_service" "this" {
  for_each = var.services

  project = var.project
  service = each.value

  # Another system of the same project may use the API too: leaving is not switching it off.
  disable_on_destroy = false
}
