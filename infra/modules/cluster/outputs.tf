output "name" {
  description = "The cluster's name."
  value       = google_container_cluster.this.name
}

output "location" {
  description = "The cluster's zone or region."
  value       = google_container_cluster.this.location
}

output "endpoint" {
  description = "The DNS name the Kubernetes API answers by, to those with container.clusters.connect."
  value       = google_container_cluster.this.control_plane_endpoints_config[0].dns_endpoint_config[0].endpoint
}
