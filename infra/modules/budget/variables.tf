variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number."
  type        = string
}

variable "billing_account" {
  description = "The billing account's id: `012345-567890-ABCDEF`."
  type        = string
}

variable "monthly" {
  description = "What a month may cost, in whole units of the currency."
  type        = number
}

variable "currency" {
  description = "The billing account's currency."
  type        = string
  default     = "USD"
}

variable "notification_channels" {
  description = "Cloud Monitoring's channels that are told: at most five."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.notification_channels) <= 5
    error_message = "A budget tells at most five channels."
  }
}
