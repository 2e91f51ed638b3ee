variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "The bucket's name, unique in all of Cloud Storage."
  type        = string
}

variable "location" {
  description = "A region, or `EU` or `US`. BigQuery loads only from the location of its datasets."
  type        = string
}

variable "labels" {
  description = "Labels of the bucket."
  type        = map(string)
  default     = {}
}

variable "access" {
  description = "Who may do what, by a name of the grant that stays the same."
  type        = map(object({ role = string, member = string }))
  default     = {}
}

variable "versioning" {
  description = "Whether a replaced or deleted object is kept as a noncurrent version."
  type        = bool
  default     = false
}

variable "noncurrent_days" {
  description = "Days a noncurrent version is kept."
  type        = number
  default     = 30
}

variable "soft_delete_days" {
  description = "Days a deleted object can be restored: 0, or 7 to 90. They are paid for."
  type        = number
  default     = 7

  validation {
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "Cloud Storage takes 0, or 7 to 90 days."
  }
}

variable "storage_classes" {
  description = "Days after which an object moves to a colder class, by class: `{ NEARLINE = 30 }`."
  type        = map(number)
  default     = {}
}

variable "delete_after_days" {
  description = "Objects that are deleted by age, by a name of the rule. No prefixes means all objects."
  type        = map(object({ days = number, prefixes = optional(list(string), []) }))
  default     = {}
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes a bucket that has objects."
  type        = bool
  default     = false
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts new objects; null for Google's own."
  type        = string
  default     = null
}
