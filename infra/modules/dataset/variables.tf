variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "The dataset's id."
  type        = string
}

variable "description" {
  description = "What is in it, as BigQuery's console shows it."
  type        = string
}

variable "location" {
  description = "A region, or `EU` or `US`. It cannot be changed later."
  type        = string
}

variable "labels" {
  description = "Labels of the dataset; BigQuery's costs can be split by them."
  type        = map(string)
  default     = {}
}

variable "access" {
  description = "Who may do what, by a name of the grant that stays the same."
  type        = map(object({ role = string, member = string }))
  default     = {}
}

variable "table_expiration_days" {
  description = "Days a table lives unless it says otherwise; null for ever."
  type        = number
  default     = null
}

variable "partition_expiration_days" {
  description = "Days a partition lives unless its table says otherwise; null for ever."
  type        = number
  default     = null
}

variable "time_travel_hours" {
  description = "Hours a table can be read as it was: 48 to 168."
  type        = number
  default     = 168
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes a dataset that has tables."
  type        = bool
  default     = false
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts new tables; null for Google's own."
  type        = string
  default     = null
}
