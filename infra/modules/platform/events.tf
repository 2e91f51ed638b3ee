# One topic carries commands and facts; each function's subscription filters for what it takes.
module "events" {
  source = "../topic"

  project        = module.services.project
  project_number = data.google_project.this.number
  name           = "millstream-events"
  region         = local.message_region
  retention      = "604800s" # A week to find a mistake in and deliver everything again.
  labels         = var.labels
  kms_key        = local.kms_key
  access = merge(
    local.access["topic:events"],
    { for member in var.operators : "operator/${member}" => { role = "roles/pubsub.publisher", member = member } },
  )
}

module "subscription" {
  source   = "../push-subscription"
  for_each = local.deployed

  project           = module.services.project
  project_number    = data.google_project.this.number
  name              = "millstream-events-${each.key}"
  topic             = module.events.id
  filter            = each.value.filter
  endpoint          = "${module.function[each.key].uri}${each.value.path}"
  audience          = module.function[each.key].audience
  invoker           = google_service_account.push.email
  dead_letter_topic = module.events.dead_letter_topic
  labels            = merge(var.labels, { function = each.key })

  # The ordering key is the run: the facts of one run arrive as they were published, and runs do not wait for each other.
  ordered = true

  # Twice the request's limit: what the function has not answered by then, it never will.
  # Pub/Sub waits ten minutes at most.
  ack_deadline_seconds = min(600, 2 * each.value.timeout_seconds)
}

module "uploads" {
  source = "../trigger"
  count  = length(local.deployed) > 0 ? 1 : 0

  project         = module.services.project
  project_number  = data.google_project.this.number
  region          = var.region
  name            = "millstream-uploads"
  by              = var.uploads_by
  bucket          = module.bucket["landing"].name
  bucket_location = local.bucket_location
  message_region  = local.message_region
  function        = module.function["plan-run"]
  invoker         = google_service_account.push.email
  labels          = var.labels
  kms_key         = local.kms_key
}

# Topics of your own whose messages start pipelines.
module "message_topic" {
  source   = "../topic"
  for_each = var.message_topics

  project        = module.services.project
  project_number = data.google_project.this.number
  name           = each.key
  region         = local.message_region
  labels         = var.labels
  kms_key        = local.kms_key
  access         = { for member in each.value.publishers : member => { role = "roles/pubsub.publisher", member = member } }
}

module "message_subscription" {
  source   = "../push-subscription"
  for_each = length(local.deployed) > 0 ? var.message_topics : {}

  project           = module.services.project
  project_number    = data.google_project.this.number
  name              = "${each.key}-plan-run"
  topic             = module.message_topic[each.key].id
  endpoint          = "${module.function["plan-run"].uri}/topics/${each.key}"
  audience          = module.function["plan-run"].audience
  invoker           = google_service_account.push.email
  dead_letter_topic = module.message_topic[each.key].dead_letter_topic
  labels            = var.labels
}
