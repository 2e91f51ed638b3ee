variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "The region of the cluster's network."
  type        = string
}

variable "location" {
  description = "A zone (one control plane) or a region (three, and nodes in the pools' zones)."
  type        = string
}

variable "name" {
  description = "The cluster's name, and its network's."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "The name of the nodes' service account is made of it: at most 24 lower-case letters, digits and hyphens."
  }
}

variable "training_account" {
  description = "The service account of training programs, and the Kubernetes one that becomes it."
  type = object({
    name            = string
    namespace       = optional(string, "millstream-training")
    kubernetes_name = optional(string, "training")
  })
}

variable "ranges" {
  description = "The network's address ranges."
  type        = object({ nodes = string, pods = string, services = string })
  default     = { nodes = "10.80.0.0/22", pods = "10.84.0.0/16", services = "10.80.16.0/20" }
}

variable "release_channel" {
  description = "How soon Kubernetes is upgraded: RAPID, REGULAR or STABLE."
  type        = string
  default     = "REGULAR"
}

variable "maintenance_start" {
  description = "When GKE may upgrade, in UTC: four hours from then."
  type        = string
  default     = "03:00"
}

variable "system_pool" {
  description = "The nodes of the operators."
  type = object({
    machine_type = optional(string, "e2-standard-2")
    max_nodes    = optional(number, 3)
    zones        = optional(list(string))
  })
  default = {}
}

variable "gpu_pools" {
  description = <<-EOT
    GPU node pools by name; each scales from 0. `provisioning` is how the nodes are bought: `on-demand`, `spot` (cheaper, may be
    taken away), `flex-start` (waits for capacity, at most seven days) or `queued` (flex-start, all nodes of a job at once,
    through a ProvisioningRequest that Kueue makes).
  EOT
  type = map(object({
    accelerator   = optional(string, "nvidia-l4")
    count         = optional(number, 1)
    machine_type  = optional(string)
    max_nodes     = optional(number, 2)
    provisioning  = optional(string, "spot")
    max_run_hours = optional(number, 168)
    zones         = optional(list(string))
    disk_gb       = optional(number, 200)
    disk_type     = optional(string, "pd-balanced")
    driver        = optional(string, "DEFAULT")
  }))
  default = { l4 = {} }

  validation {
    condition     = alltrue([for pool in values(var.gpu_pools) : contains(["on-demand", "spot", "flex-start", "queued"], pool.provisioning)])
    error_message = "A GPU pool's provisioning is on-demand, spot, flex-start or queued."
  }

  validation {
    condition = alltrue([for pool in values(var.gpu_pools) : contains(
      ["nvidia-tesla-t4", "nvidia-l4", "nvidia-tesla-a100", "nvidia-a100-80gb", "nvidia-h100-80gb", "nvidia-h200-141gb"],
    pool.accelerator) || pool.machine_type != null])
    error_message = "The accelerator is not one whose machines are known: give the pool's machine_type too."
  }

  validation {
    condition     = alltrue([for pool in values(var.gpu_pools) : pool.max_run_hours > 0 && pool.max_run_hours <= 168])
    error_message = "A flex-start node runs seven days (168 hours) at most."
  }
}

variable "tpu_pools" {
  description = "TPU node pools by name: `{ v5e = { machine_type = \"ct5lp-hightpu-4t\", topology = \"2x4\", max_nodes = 2 } }`. A topology is for slices of several hosts."
  type = map(object({
    machine_type = string
    topology     = optional(string)
    max_nodes    = optional(number, 1)
    spot         = optional(bool, true)
    zones        = optional(list(string))
  }))
  default = {}
}

variable "labels" {
  description = "Labels of the cluster and its nodes; GKE's costs can be split by them."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the cluster."
  type        = bool
  default     = true
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts Kubernetes secrets; null for Google's own."
  type        = string
  default     = null
}
