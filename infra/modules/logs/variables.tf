variable "project" {
  description = "The project's id."
  type        = string
}

variable "dataset" {
  description = "The BigQuery dataset the logs are kept in."
  type        = string
  default     = "logs"
}

variable "location" {
  description = "The dataset's location."
  type        = string
}

variable "functions" {
  description = "The Cloud Run services whose warnings and errors are kept."
  type        = list(string)
}

variable "days" {
  description = "Days they are kept."
  type        = number
  default     = 180
}

variable "audited_services" {
  description = "Services whose reads and writes of data are logged: `storage.googleapis.com`. BigQuery's are always."
  type        = set(string)
  default     = []
}

variable "labels" {
  description = "Labels of the dataset."
  type        = map(string)
  default     = {}
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes logs."
  type        = bool
  default     = false
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts the tables; null for Google's own."
  type        = string
  default     = null
}
