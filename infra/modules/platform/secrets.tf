module "secret" {
  source   = "../secret"
  for_each = var.secrets

  project             = module.services.project
  region              = var.region
  name                = each.key
  readers             = { for name in each.value : name => google_service_account.function[name].member }
  labels              = var.labels
  deletion_protection = var.protected
  kms_key             = local.kms_key
}
