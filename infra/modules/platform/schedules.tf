# Levels make it right: each minute plan-run asks again for what is owed.
module "sweep" {
  source = "../schedule"
  count  = length(local.deployed) > 0 ? 1 : 0

  project     = module.services.project
  region      = var.region
  name        = "millstream-sweep"
  description = "Asks again for what is owed."
  cron        = var.sweep_cron
  event_type  = "dev.millstream.sweep.due.v1"
  function    = module.function["plan-run"]
  invoker     = google_service_account.scheduler.email
  retries     = 0 # The next one comes in a minute.
}

module "schedule" {
  source   = "../schedule"
  for_each = length(local.deployed) > 0 ? var.schedules : {}

  project     = module.services.project
  region      = var.region
  name        = "millstream-schedule-${replace(each.key, "/", "--")}"
  description = "Runs ${each.key}."
  cron        = each.value
  event_type  = "dev.millstream.schedule.fired.v1"
  data        = zipmap(slice(["pipeline", "source"], 0, length(split("/", each.key))), split("/", each.key))
  function    = module.function["plan-run"]
  invoker     = google_service_account.scheduler.email
  retries     = 5
}
