"""Models, their versions, aliases and evaluations."""

import re

from messages import Refused, writes
from world import by_labels, canonical, checked_labels, page, required

ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$")
SCHEMAS = [
    f"gs://google-cloud-aiplatform/schema/modelevaluation/{kind}_metrics_1.0.0.yaml"
    for kind in ("classification", "regression")
]


class Models:
    def __init__(self, world):
        self.world, self.models, self.evaluations = world, {}, {}

    def upload(self, data):
        model, parent = data.get("model", {}), canonical(data["parent"])
        required(model, "displayName", "artifactUri", "containerSpec.imageUri")
        checked_labels(model)
        if not model["artifactUri"].startswith("gs://") or model["artifactUri"].endswith("/"):
            raise Refused("INVALID_ARGUMENT", f"The artifact {model['artifactUri']} is no folder of Cloud Storage")
        if ("parentModel" in data) == ("modelId" in data):
            raise Refused("INVALID_ARGUMENT", "A model has an id, or a parent of which it is a version")
        if "parentModel" in data:
            name = canonical(data["parentModel"])
            if name not in self.models:
                raise Refused("NOT_FOUND", f"The Model {name} does not exist.")
        else:
            if not re.match(r"[a-z0-9_-]{1,63}$", data["modelId"]) or data["modelId"][0].isdigit():
                raise Refused("INVALID_ARGUMENT", f"{data['modelId']} is not a model id")
            name = f"{parent}/models/{data['modelId']}"
            self.refuse_existing(name, at_once=not self.world.already_exists_inside)

        def effect():
            if "modelId" in data:
                self.refuse_existing(name, at_once=True)
            versions = self.models.setdefault(name, [])
            now = self.world.now()
            made = {
                **model,
                "name": name,
                "versionId": str(len(versions) + 1),
                "versionAliases": model.get("versionAliases", []) + ([] if versions else ["default"]),
                "versionCreateTime": now,
                "createTime": versions[0]["createTime"] if versions else now,
            }
            versions.append(made)
            kind = "type.googleapis.com/google.cloud.aiplatform.v1.UploadModelResponse"
            return {"@type": kind, "model": name, "modelVersionId": made["versionId"]}

        return self.world.start(name, "UploadModel", effect)

    def refuse_existing(self, name, at_once):
        if at_once and name in self.models:
            raise Refused("ALREADY_EXISTS", f"The Model {name} already exists.")

    def version(self, name):
        """A version by a name such as `..models/churn`, `..@2` or `..@production`."""
        model, _, wanted = canonical(name).partition("@")
        for version in self.models.get(model, []):
            if wanted in ("", version["versionId"]) and (wanted or "default" in version["versionAliases"]):
                return version
            if wanted in version["versionAliases"]:
                return version
        raise Refused("NOT_FOUND", f"The Model {name} is not found.")

    def get(self, data):
        return self.version(data["name"])

    def list(self, data):
        defaults = [self.version(name) for name in reversed(self.models)]
        return page(by_labels(defaults, data.get("filter", "")), data, "models")

    def list_versions(self, data):
        name = canonical(data["name"])
        if name not in self.models:
            raise Refused("NOT_FOUND", f"The Model {name} is not found.")
        # The newest first: nobody has promised an order.
        return page(by_labels(reversed(self.models[name]), data.get("filter", "")), data, "models")

    def merge_aliases(self, data):
        required(data, "versionAliases")
        version = self.version(data["name"])
        if data["name"].partition("@")[2] != version["versionId"]:
            raise Refused("INVALID_ARGUMENT", "The version must be named by its id")
        for alias in data["versionAliases"]:
            plain = alias.removeprefix("-")
            if not ALIAS.match(plain) or alias == "-default":
                raise Refused("INVALID_ARGUMENT", f"The alias {alias} is not valid")
            others = [other for other in self.models[version["name"]] if other is not version]
            held = [other for other in others if plain in other["versionAliases"]]
            if alias == plain and held and not self.world.aliases_move:
                raise Refused("INVALID_ARGUMENT", f"The alias {alias} is another version's")
            for other in held if alias == plain else []:
                other["versionAliases"] = [known for known in other["versionAliases"] if known != plain]
            known = [name for name in version["versionAliases"] if name != plain]
            version["versionAliases"] = known + ([plain] if alias == plain else [])
        return version

    def import_evaluation(self, data):
        evaluation = data.get("modelEvaluation", {})
        version = self.version(data["parent"])
        required(evaluation, "metricsSchemaUri", "metrics")
        if evaluation["metricsSchemaUri"] not in SCHEMAS:
            raise Refused("INVALID_ARGUMENT", f"There is no schema {evaluation['metricsSchemaUri']}")
        parent = f"{version['name']}@{version['versionId']}"
        name = f"{version['name']}/evaluations/{self.world.number()}"
        made = {**evaluation, "name": name, "createTime": self.world.now()}
        self.evaluations.setdefault(parent, []).append(made)
        return made

    def list_evaluations(self, data):
        version = self.version(data["parent"])
        found = self.evaluations.get(f"{version['name']}@{version['versionId']}", [])
        return page(by_labels(found, data.get("filter", "")), data, "modelEvaluations")

    def methods(self):
        return {
            "UploadModel": self.upload,
            "GetModel": writes(self.get, "Model"),
            "ListModels": writes(self.list, "ListModelsResponse"),
            "ListModelVersions": writes(self.list_versions, "ListModelVersionsResponse"),
            "MergeVersionAliases": writes(self.merge_aliases, "Model"),
            "ImportModelEvaluation": writes(self.import_evaluation, "ModelEvaluation"),
            "ListModelEvaluations": writes(self.list_evaluations, "ListModelEvaluationsResponse"),
        }
