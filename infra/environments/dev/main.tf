# A place to try things: nothing is protected, and what is made does not stay.
module "platform" {
  source = "../../modules/platform"

  project       = var.project
  environment   = "dev"
  region        = var.region
  image         = var.image
  serving_image = var.serving_image
  protected     = false

  soft_delete_days      = 0
  delete_after_days     = { landing = 30, lake = 30, models = 60 }
  table_expiration_days = { source = 60, staging = 30, production = 60 }
  log_days              = 30

  schedules      = var.schedules
  message_topics = var.message_topics
  secrets        = var.secrets

  function_networks = var.function_networks

  uploaders          = var.people.uploaders
  analysts           = var.people.analysts
  operators          = var.people.operators
  pipeline_deployers = var.people.pipeline_deployers

  alert_emails = var.alert_emails
  budget       = var.budget

  training_cluster = var.training_cluster

  labels = { platform = "millstream", environment = "dev" }
}
