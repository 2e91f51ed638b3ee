# What people rely on: protected, audited, kept.
module "platform" {
  source = "../../modules/platform"

  project       = var.project
  environment   = "prod"
  region        = var.region
  image         = var.image
  serving_image = var.serving_image
  protected     = true
  kms_key       = var.kms_key

  soft_delete_days      = 30
  table_expiration_days = { staging = 180 }
  log_days              = 400
  audited_services      = ["storage.googleapis.com", "secretmanager.googleapis.com"]

  schedules      = var.schedules
  message_topics = var.message_topics
  secrets        = var.secrets

  function_networks = var.function_networks

  uploaders          = var.people.uploaders
  analysts           = var.people.analysts
  operators          = var.people.operators
  pipeline_deployers = var.people.pipeline_deployers

  alert_emails = var.alert_emails
  alert_limits = var.alert_limits
  budget       = var.budget

  training_cluster = var.training_cluster

  labels = { platform = "millstream", environment = "prod" }
}
