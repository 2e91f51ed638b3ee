terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # The bucket is the project's own, made by bootstrap.sh: terraform init -backend-config="bucket=PROJECT-terraform"
  backend "gcs" {
    prefix = "millstream/prod"
  }
}

provider "google" {
  project = var.project
  region  = var.region

  # Budgets and some other APIs ask whose quota a person's own credentials use.
  user_project_override = true
  billing_project       = var.project

  default_labels = {
    platform    = "millstream"
    environment = "prod"
  }
}
