locals {
  # The machine that carries so many of an accelerator. A pool may name another one of the family.
  machine_types = {
    nvidia-tesla-t4   = { 1 = "n1-standard-4", 2 = "n1-standard-8", 4 = "n1-standard-16" }
    nvidia-l4         = { 1 = "g2-standard-4", 2 = "g2-standard-24", 4 = "g2-standard-48", 8 = "g2-standard-96" }
    nvidia-tesla-a100 = { 1 = "a2-highgpu-1g", 2 = "a2-highgpu-2g", 4 = "a2-highgpu-4g", 8 = "a2-highgpu-8g" }
    nvidia-a100-80gb  = { 1 = "a2-ultragpu-1g", 2 = "a2-ultragpu-2g", 4 = "a2-ultragpu-4g", 8 = "a2-ultragpu-8g" }
    nvidia-h100-80gb  = { 1 = "a3-highgpu-1g", 2 = "a3-highgpu-2g", 4 = "a3-highgpu-4g", 8 = "a3-highgpu-8g" }
    nvidia-h200-141gb = { 8 = "a3-ultragpu-8g" }
  }
}

# Nodes have an account of their own, which may write logs and metrics and read images. What a program may touch is its
# workload identity's.
resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of the cluster ${var.name}"
}

resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"])

  project = var.project
  role    = each.value
  member  = google_service_account.nodes.member
}

# Where the operators run: Kueue, Kubeflow Trainer, KubeRay. It is the cluster's cost at rest.
resource "google_container_node_pool" "system" {
  project        = var.project
  name           = "system"
  location       = var.location
  cluster        = google_container_cluster.this.name
  node_locations = var.system_pool.zones

  autoscaling {
    total_min_node_count = 1
    total_max_node_count = var.system_pool.max_nodes
    location_policy      = "ANY"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = var.system_pool.machine_type
    image_type      = "COS_CONTAINERD"
    disk_size_gb    = 50
    disk_type       = "pd-balanced"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    resource_labels = var.labels

    metadata = {
      disable-legacy-endpoints = "true"
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

resource "google_container_node_pool" "gpu" {
  #checkov:skip=CKV_GCP_9:On for every pool but flex-start and queued ones, whose nodes a repair would end
  for_each = var.gpu_pools

  project            = var.project
  name               = each.key
  location           = var.location
  cluster            = google_container_cluster.this.name
  node_locations     = each.value.zones
  initial_node_count = 0

  # From zero and back to zero: a GPU that trains nothing costs nothing.
  autoscaling {
    total_min_node_count = 0
    total_max_node_count = each.value.max_nodes
    location_policy      = "ANY" # Accelerators are where they are; balance over zones would wait for the fullest one.
  }

  management {
    # A repair would end the run of a node that was queued for; such nodes are short-lived anyway.
    auto_repair  = !contains(["flex-start", "queued"], each.value.provisioning)
    auto_upgrade = true
  }

  dynamic "queued_provisioning" {
    for_each = each.value.provisioning == "queued" ? [true] : []
    content {
      enabled = queued_provisioning.value
    }
  }

  node_config {
    machine_type    = coalesce(each.value.machine_type, local.machine_types[each.value.accelerator][each.value.count])
    image_type      = "COS_CONTAINERD"
    disk_size_gb    = each.value.disk_gb
    disk_type       = each.value.disk_type
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    resource_labels = var.labels

    spot             = each.value.provisioning == "spot"
    flex_start       = contains(["flex-start", "queued"], each.value.provisioning) ? true : null
    max_run_duration = contains(["flex-start", "queued"], each.value.provisioning) ? "${each.value.max_run_hours * 60 * 60}s" : null

    guest_accelerator {
      type  = each.value.accelerator
      count = each.value.count

      gpu_driver_installation_config {
        gpu_driver_version = each.value.driver
      }
    }

    dynamic "reservation_affinity" {
      for_each = contains(["flex-start", "queued"], each.value.provisioning) ? ["NO_RESERVATION"] : []
      content {
        consume_reservation_type = reservation_affinity.value
      }
    }

    # GKE adds this taint by itself where the cluster has another pool; written down, it is there in any case.
    taint {
      key    = "nvidia.com/gpu"
      value  = "present"
      effect = "NO_SCHEDULE"
    }

    metadata = {
      disable-legacy-endpoints = "true"
    }

    shielded_instance_config {
      enable_secure_boot          = true # GKE's own drivers are signed.
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    gcfs_config {
      enabled = true # Image streaming: a training image of 10 GB starts before it is all there.
    }

    gvnic {
      enabled = true
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]
  }
}

resource "google_container_node_pool" "tpu" {
  for_each = var.tpu_pools

  project            = var.project
  name               = each.key
  location           = var.location
  cluster            = google_container_cluster.this.name
  node_locations     = each.value.zones
  initial_node_count = 0

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = each.value.max_nodes
    location_policy      = "ANY"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  # A slice of several hosts scales as a whole: none of its nodes, or all of them.
  dynamic "placement_policy" {
    for_each = each.value.topology[*]
    content {
      type         = "COMPACT"
      tpu_topology = placement_policy.value
    }
  }

  node_config {
    machine_type    = each.value.machine_type
    image_type      = "COS_CONTAINERD"
    disk_size_gb    = 100
    spot            = each.value.spot
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    resource_labels = var.labels

    metadata = {
      disable-legacy-endpoints = "true"
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]
  }
}
