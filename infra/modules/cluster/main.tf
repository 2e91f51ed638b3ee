# A Standard cluster: its node pools say exactly which accelerators there may be, how many and bought how. Autopilot would
# choose machines by itself, but has no queued provisioning per pool and no TPU topology that a person can read here.
resource "google_container_cluster" "this" {
  #checkov:skip=CKV_GCP_20:The control plane has no IP endpoint to authorise networks for: it answers by its DNS name, where IAM decides
  #checkov:skip=CKV_GCP_12:Dataplane V2 enforces network policies without the add-on this check looks for
  #checkov:skip=CKV_GCP_65:Google Groups for RBAC need a Workspace domain; grants here are to one service account
  #checkov:skip=CKV_GCP_61:Dataplane V2 has its own flow visibility, and the subnet's flow logs are on
  project             = var.project
  name                = var.name
  location            = var.location
  resource_labels     = var.labels
  deletion_protection = var.deletion_protection

  network         = google_compute_network.this.id
  subnetwork      = google_compute_subnetwork.this.id
  networking_mode = "VPC_NATIVE"

  # Pools are resources of their own; the first one that a cluster must be born with goes at once.
  remove_default_node_pool = true
  initial_node_count       = 1

  datapath_provider           = "ADVANCED_DATAPATH"
  enable_intranode_visibility = true
  enable_shielded_nodes       = true
  enable_legacy_abac          = false

  release_channel {
    channel = var.release_channel
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = true
  }

  # train-model reaches the API by its DNS name, through Google's front end and IAM: no VPC connector, no open address.
  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }
    ip_endpoints_config {
      enabled = false
    }
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  # The default pool lives for a minute; it is shielded all the same.
  node_config {
    service_account = google_service_account.nodes.email

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  binary_authorization {
    evaluation_mode = "PROJECT_SINGLETON_POLICY_ENFORCE"
  }

  security_posture_config {
    mode               = "BASIC"
    vulnerability_mode = "VULNERABILITY_DISABLED"
  }

  dynamic "database_encryption" {
    for_each = var.kms_key[*]
    content {
      state    = "ENCRYPTED"
      key_name = database_encryption.value
    }
  }

  addons_config {
    ray_operator_config {
      enabled = true
      ray_cluster_logging_config {
        enabled = true
      }
      ray_cluster_monitoring_config {
        enabled = true
      }
    }
    gcs_fuse_csi_driver_config {
      enabled = true
    }
    gce_persistent_disk_csi_driver_config {
      enabled = true
    }
  }

  cost_management_config {
    enabled = true
  }

  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS", "DCGM"]
    managed_prometheus {
      enabled = true
    }
  }

  maintenance_policy {
    daily_maintenance_window {
      start_time = var.maintenance_start
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count, node_config]
  }
}
