module "logs" {
  source = "../logs"

  project          = module.services.project
  location         = local.bucket_location
  functions        = keys(local.functions)
  days             = var.log_days
  audited_services = var.audited_services
  labels           = var.labels
  force_destroy    = !var.protected
  kms_key          = local.kms_key
}

module "monitoring" {
  source = "../monitoring"
  count  = length(local.deployed) > 0 ? 1 : 0

  project   = module.services.project
  functions = keys(local.functions)
  subscriptions = concat(
    [for subscription in module.subscription : subscription.name],
    compact(module.uploads[*].subscription),
    [for subscription in module.message_subscription : subscription.name],
  )
  dead_letter_subscriptions = concat(
    [module.events.dead_letter_subscription],
    compact(module.uploads[*].dead_letter_subscription),
    [for topic in module.message_topic : topic.dead_letter_subscription],
  )
  sweep_job = module.sweep[0].name
  emails    = var.alert_emails
  limits    = var.alert_limits
  guide     = var.alert_guide
  labels    = var.labels
}

module "budget" {
  source = "../budget"
  count  = var.budget == null ? 0 : 1

  project               = module.services.project
  project_number        = data.google_project.this.number
  billing_account       = var.budget.billing_account
  monthly               = var.budget.monthly
  currency              = var.budget.currency
  notification_channels = slice(flatten(module.monitoring[*].notification_channels), 0, min(5, length(flatten(module.monitoring[*].notification_channels))))
}
