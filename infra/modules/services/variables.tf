variable "project" {
  description = "The project's id."
  type        = string
}

variable "services" {
  description = "The APIs to enable, as `run.googleapis.com`."
  type        = set(string)
}
