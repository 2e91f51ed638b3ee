module "function" {
  source   = "../function"
  for_each = local.deployed

  project         = module.services.project
  project_number  = data.google_project.this.number
  region          = var.region
  name            = each.key
  image           = var.image
  service_account = google_service_account.function[each.key].email
  labels          = merge(var.labels, { function = each.key })

  size = {
    cpu              = each.value.cpu
    memory           = each.value.memory
    concurrency      = each.value.concurrency
    timeout_seconds  = each.value.timeout_seconds
    max_instances    = each.value.max_instances
    between_requests = each.value.between_requests
  }

  invokers = merge(
    { push = google_service_account.push.email },
    each.key == "plan-run" ? { scheduler = google_service_account.scheduler.email } : {},
  )

  additional_audiences = each.key == "plan-run" ? var.plan_run_audiences : []

  env = merge(
    {
      MILLSTREAM_ENV               = var.environment
      MILLSTREAM_GCP__PROJECT      = var.project
      MILLSTREAM_GCP__LOCATION     = local.bucket_location
      MILLSTREAM_GCP__EVENTS_TOPIC = module.events.name
      MILLSTREAM_BUCKETS__LANDING  = module.bucket["landing"].name
      MILLSTREAM_BUCKETS__LAKE     = module.bucket["lake"].name
      MILLSTREAM_BUCKETS__LEDGER   = module.bucket["ledger"].name
      MILLSTREAM_BUCKETS__MODELS   = module.bucket["models"].name
      MILLSTREAM_LOG__FORMAT       = "google"
    },
    each.key == "plan-run" ? { MILLSTREAM_PIPELINES_DIR = "/pipelines" } : {},
    each.key == "train-model" ? local.training_env : {},
    each.key == "promote-model" ? local.serving_env : {},
    lookup(var.function_env, each.key, {}),
  )

  # plan-run alone reads pipelines; a changed file is in force with the next event, without a new revision.
  bucket_volumes = each.key == "plan-run" ? { pipelines = { bucket = module.bucket["pipelines"].name, path = "/pipelines" } } : {}

  network = lookup(var.function_networks, each.key, null)

  deletion_protection = var.protected
  kms_key             = local.kms_key

  depends_on = [
    google_project_iam_member.access,
    google_service_account_iam_member.access,
    module.dataset,
  ]
}
