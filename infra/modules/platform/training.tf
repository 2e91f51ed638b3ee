# Optional: whoever trains on Vertex AI needs no cluster.
module "cluster" {
  source = "../cluster"
  count  = var.training_cluster.enabled ? 1 : 0

  project             = module.services.project
  region              = var.region
  location            = coalesce(var.training_cluster.location, var.region)
  name                = "millstream"
  training_account    = { name = google_service_account.training.name }
  release_channel     = var.training_cluster.release_channel
  system_pool         = var.training_cluster.system_pool
  gpu_pools           = var.training_cluster.gpu_pools
  tpu_pools           = var.training_cluster.tpu_pools
  labels              = var.labels
  deletion_protection = var.protected
  kms_key             = local.kms_key
}

# Where train-model and promote-model find what trains and what serves.
locals {
  vertex_env = {
    MILLSTREAM_VERTEX__LOCATION        = var.region
    MILLSTREAM_VERTEX__SERVICE_ACCOUNT = google_service_account.training.email
  }

  training_env = merge(
    local.vertex_env,
    { MILLSTREAM_TRAINING__IMAGE = var.image },
    var.training_cluster.enabled ? { MILLSTREAM_KUBERNETES__URL = "https://${module.cluster[0].endpoint}" } : {},
  )

  serving_env = merge(
    local.vertex_env,
    var.serving_image == null ? {} : {
      MILLSTREAM_VERTEX__SERVES        = "true"
      MILLSTREAM_VERTEX__SERVING_IMAGE = var.serving_image
    },
  )
}
