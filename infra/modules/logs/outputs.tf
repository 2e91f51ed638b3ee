output "dataset" {
  description = "The dataset's id."
  value       = module.dataset.name
}
