variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the images are kept."
  type        = string
}

variable "name" {
  description = "The repository's name."
  type        = string
}

variable "access" {
  description = "Who may do what, by a name of the grant that stays the same."
  type        = map(object({ role = string, member = string }))
  default     = {}
}

variable "keep" {
  description = "Versions of an image that are kept however old: as far back as one may want to roll back."
  type        = number
  default     = 20
}

variable "untagged_days" {
  description = "Days a version without a tag is kept."
  type        = number
  default     = 14
}

variable "labels" {
  description = "Labels of the repository."
  type        = map(string)
  default     = {}
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts images; null for Google's own."
  type        = string
  default     = null
}
