variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number: a Cloud Run URL is made of it."
  type        = string
}

variable "region" {
  description = "Where it runs."
  type        = string
}

variable "name" {
  description = "The function's name, and so its Cloud Run service's: `load-table`."
  type        = string
}

variable "image" {
  description = "The image that holds `millstream`, by digest: `REGISTRY/millstream@sha256:..`."
  type        = string
}

variable "service_account" {
  description = "The e-mail address of the service account it runs as."
  type        = string
}

variable "invokers" {
  description = "The e-mail addresses of the service accounts that may call it, by a name that stays the same."
  type        = map(string)
}

variable "size" {
  description = "What one instance has and takes, and how many instances there may be."
  type = object({
    cpu              = string
    memory           = string
    concurrency      = number
    timeout_seconds  = number
    max_instances    = number
    between_requests = bool
  })
}

variable "env" {
  description = "Environment variables beside those of authentication."
  type        = map(string)
  default     = {}
}

variable "additional_audiences" {
  description = "Audiences that are accepted beside the service's own: an Eventarc trigger names the service by its `uri`."
  type        = list(string)
  default     = []
}

variable "bucket_volumes" {
  description = "Buckets that are mounted read-only, by the volume's name."
  type        = map(object({ bucket = string, path = string }))
  default     = {}
}

variable "labels" {
  description = "Labels of the service and its revisions."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts the image's copy; null for Google's own."
  type        = string
  default     = null
}

variable "network" {
  description = "The network and subnetwork that the service reaches private addresses through; null for none."
  type        = object({ network = string, subnetwork = string })
  default     = null
}
