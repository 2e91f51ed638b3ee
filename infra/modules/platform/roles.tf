# Where Google's own roles give far more than a function does: Vertex AI User alone has some 300 permissions.
locals {
  custom_roles = {
    trainingLauncher = {
      title = "Millstream training launcher"
      permissions = concat(
        [
          "aiplatform.customJobs.cancel",
          "aiplatform.customJobs.create",
          "aiplatform.customJobs.get",
          "aiplatform.customJobs.list",
          "logging.logEntries.list",
        ],
        # To reach a cluster by its DNS name. What may be done there is Kubernetes' RBAC: infra/kubernetes.
        var.training_cluster.enabled ? ["container.clusters.connect", "container.clusters.get"] : [],
      )
    }
    modelPublisher = {
      title = "Millstream model publisher"
      permissions = [
        "aiplatform.endpoints.create",
        "aiplatform.endpoints.deploy",
        "aiplatform.endpoints.get",
        "aiplatform.endpoints.list",
        "aiplatform.endpoints.predict",
        "aiplatform.endpoints.undeploy",
        "aiplatform.endpoints.update",
        "aiplatform.modelEvaluations.import",
        "aiplatform.modelEvaluations.list",
        "aiplatform.models.get",
        "aiplatform.models.list",
        "aiplatform.models.update",
        "aiplatform.models.upload",
        "aiplatform.operations.list",
        "monitoring.timeSeries.list",
      ]
    }
  }
}

resource "google_project_iam_custom_role" "this" {
  for_each = local.custom_roles

  project     = module.services.project
  role_id     = "millstream_${each.key}"
  title       = each.value.title
  permissions = each.value.permissions
}
