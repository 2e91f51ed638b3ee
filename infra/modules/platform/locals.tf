locals {
  # What each function declares of itself: what it takes, what it may touch, how large it is. `millstream infra functions`
  # writes the file; nothing of it is repeated here.
  functions = jsondecode(file("${path.module}/../../functions.json")).functions

  buckets  = toset(["landing", "lake", "ledger", "models", "pipelines"])
  datasets = toset(["source", "staging", "production"])

  # One entry for each role that a function holds.
  grants = merge([
    for name, function in local.functions : {
      for grant in function.roles : "${name}/${grant.on}/${grant.role}" => {
        function = name
        on       = grant.on
        member   = google_service_account.function[name].member
        role = (
          startswith(grant.role, "custom:")
          ? google_project_iam_custom_role.this[trimprefix(grant.role, "custom:")].id
          : grant.role
        )
      }
    }
  ]...)

  # The same, by what it is on: `bucket:lake` => { "load-table/bucket:lake/roles/storage.objectViewer" => .. }.
  access = {
    for on in local.known_resources : on => {
      for key, grant in local.grants : key => { role = grant.role, member = grant.member } if grant.on == on
    }
  }

  known_resources = concat(
    ["project", "topic:events", "account:training"],
    [for name in local.buckets : "bucket:${name}"],
    [for name in local.datasets : "dataset:${name}"],
  )

  bucket_location = coalesce(var.data_location, var.region)
  bucket_prefix   = coalesce(var.bucket_prefix, var.project)
  message_region  = var.keep_messages_in_region ? var.region : null

  # Where no image is named there are no functions yet, and nothing that would call them.
  deployed = var.image == null ? {} : local.functions
}

# A resource that functions.json names and nobody makes would be a role that is silently not given.
resource "terraform_data" "every_grant_is_known" {
  lifecycle {
    precondition {
      condition     = length(setsubtract([for grant in local.grants : grant.on], local.known_resources)) == 0
      error_message = "functions.json has roles on ${jsonencode(setsubtract([for grant in local.grants : grant.on], local.known_resources))}, which this module does not make."
    }
  }
}
