output "functions" {
  description = "Each function's URI and audience."
  value       = module.platform.functions
}

output "buckets" {
  description = "The buckets' names, by what they are for."
  value       = module.platform.buckets
}

output "events_topic" {
  description = "The topic that carries commands and facts."
  value       = module.platform.events_topic
}

output "build" {
  description = "What a build of the images needs."
  value       = module.platform.build
}

output "training_account" {
  description = "The service account of training programs."
  value       = module.platform.training_account
}

output "cluster" {
  description = "The training cluster; null without one."
  value       = module.platform.cluster
}
