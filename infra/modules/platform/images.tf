module "build" {
  source = "../build"

  project = module.services.project
  region  = var.region
  labels  = var.labels
  kms_key = local.kms_key
}

module "registry" {
  source = "../registry"

  project = module.services.project
  region  = var.region
  name    = "millstream"
  labels  = var.labels
  kms_key = local.kms_key
  access = {
    build = { role = "roles/artifactregistry.writer", member = module.build.member }
  }
}
