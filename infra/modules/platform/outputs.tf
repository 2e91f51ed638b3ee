output "functions" {
  description = "Each function's URI and the audience a token for it must name."
  value       = { for name, function in module.function : name => { uri = function.uri, audience = function.audience } }
}

output "buckets" {
  description = "The buckets' names, by what they are for."
  value       = { for name, bucket in module.bucket : name => bucket.name }
}

output "events_topic" {
  description = "The topic that carries commands and facts."
  value       = module.events.id
}

output "build" {
  description = "What a build of the images needs."
  value = {
    account       = module.build.account
    registry      = module.registry.url
    signing_key   = module.build.signing_key
    source_bucket = module.build.source_bucket
  }
}

output "training_account" {
  description = "The service account of training programs."
  value       = google_service_account.training.email
}

output "cluster" {
  description = "The training cluster, and whom its RBAC is for; null without one."
  value = one([for cluster in module.cluster : {
    name     = cluster.name
    location = cluster.location
    endpoint = cluster.endpoint
    # Kubernetes knows a Google service account by its address or, where its token has no e-mail scope, by its number.
    train_model = {
      email     = google_service_account.function["train-model"].email
      unique_id = google_service_account.function["train-model"].unique_id
    }
  }])
}
