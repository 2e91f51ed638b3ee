locals {
  dataset_descriptions = {
    source     = "As landed: one table for each source of a pipeline."
    staging    = "Cleaned: types, names, duplicates."
    production = "Joined: what training and dashboards read."
  }
}

module "dataset" {
  source   = "../dataset"
  for_each = local.datasets

  project                   = module.services.project
  name                      = each.key
  description               = local.dataset_descriptions[each.key]
  location                  = local.bucket_location
  labels                    = merge(var.labels, { dataset = each.key })
  table_expiration_days     = lookup(var.table_expiration_days, each.key, null)
  partition_expiration_days = lookup(var.partition_expiration_days, each.key, null)
  force_destroy             = !var.protected
  kms_key                   = local.kms_key
  access = merge(
    local.access["dataset:${each.key}"],
    each.key == "production" ? { for member in var.analysts : "analyst/${member}" => { role = "roles/bigquery.dataViewer", member = member } } : {},
  )
}

resource "google_project_iam_member" "analysts" {
  for_each = toset(var.analysts)

  project = module.services.project
  role    = "roles/bigquery.jobUser"
  member  = each.value
}
