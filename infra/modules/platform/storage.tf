locals {
  # How each bucket ages. Everything else is the same for all of them.
  bucket_rules = {
    # An upload is the evidence of everything that follows from it: what replaced it is kept too.
    landing = { versioning = true, classes = { NEARLINE = 60, COLDLINE = 180 }, delete = {} }
    # Named by content and made again from the landing bucket, so that a version would be a second copy of the same bytes.
    lake = { versioning = false, classes = { NEARLINE = 30 }, delete = {} }
    # Create-only and small; the one thing that cannot be made again.
    ledger = { versioning = true, classes = {}, delete = {} }
    models = { versioning = true, classes = { NEARLINE = 90 }, delete = {} }
    # Copies of what is in git; an earlier version is one `git checkout` away, and here for the day that it is not.
    pipelines = { versioning = true, classes = {}, delete = {} }
  }

  people = {
    landing   = { for member in var.uploaders : "uploader/${member}" => { role = "roles/storage.objectCreator", member = member } }
    pipelines = { for member in var.pipeline_deployers : "deployer/${member}" => { role = "roles/storage.objectUser", member = member } }
  }

  programs = {
    models = { training = { role = "roles/storage.objectUser", member = google_service_account.training.member } }
  }
}

module "bucket" {
  source   = "../bucket"
  for_each = local.buckets

  project           = module.services.project
  name              = "${local.bucket_prefix}-${each.key}"
  location          = local.bucket_location
  labels            = merge(var.labels, { bucket = each.key })
  versioning        = local.bucket_rules[each.key].versioning
  storage_classes   = local.bucket_rules[each.key].classes
  delete_after_days = merge(local.bucket_rules[each.key].delete, lookup(var.delete_after_days, each.key, null) == null ? {} : { all = { days = var.delete_after_days[each.key] } })
  soft_delete_days  = var.soft_delete_days
  force_destroy     = !var.protected
  kms_key           = local.kms_key
  access = merge(
    local.access["bucket:${each.key}"],
    lookup(local.people, each.key, {}),
    lookup(local.programs, each.key, {}),
  )
}
