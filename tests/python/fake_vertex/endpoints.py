"""Endpoints: deployments, traffic, predictions, and what Cloud Monitoring says of them."""

import re

from messages import ANSWERS, Refused, writes, written
from world import by_labels, canonical, checked_labels, page, required

ENDPOINT_ID = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]?$")
CONDITION = re.compile(r'([a-z_.]+)\s*=\s*(?:"([^"]*)"|one_of\(([^)]*)\))$')


class Endpoints:
    def __init__(self, world, models):
        self.world, self.models, self.endpoints, self.series, self.asked = world, models, {}, [], 0

    def found(self, name):
        if canonical(name) not in self.endpoints:
            raise Refused("NOT_FOUND", f"Endpoint {name} is not found.")
        return self.endpoints[canonical(name)]

    def changed(self, endpoint):
        endpoint["updateTime"] = self.world.now()
        endpoint["etag"] = f"etag-{self.world.number()}"

    def create(self, data):
        endpoint = data.get("endpoint", {})
        required(endpoint, "displayName")
        checked_labels(endpoint)
        chosen = data.get("endpointId") or str(self.world.number() % 10**9)
        if "endpointId" in data and not ENDPOINT_ID.match(chosen):
            raise Refused("INVALID_ARGUMENT", f"{chosen} is not an endpoint id")
        name = f"{canonical(data['parent'])}/endpoints/{chosen}"
        self.refuse_existing(name, at_once=not self.world.already_exists_inside)

        def effect():
            self.refuse_existing(name, at_once=True)
            made = {**endpoint, "name": name, "createTime": self.world.now(), "deployedModels": [], "trafficSplit": {}}
            self.changed(made)
            self.endpoints[name] = made
            return {"@type": "type.googleapis.com/google.cloud.aiplatform.v1.Endpoint", "name": name}

        return self.world.start(name, "CreateEndpoint", effect)

    def refuse_existing(self, name, at_once):
        if at_once and name in self.endpoints:
            raise Refused("ALREADY_EXISTS", f"Endpoint {name} already exists.")

    def get(self, data):
        return self.found(data["name"])

    def list(self, data):
        return page(by_labels(reversed(self.endpoints.values()), data.get("filter", "")), data, "endpoints")

    def update(self, data):
        if data.get("updateMask") != "trafficSplit":
            raise Refused("INVALID_ARGUMENT", f"The fake does not change {data.get('updateMask')}")
        given = data["endpoint"]
        endpoint = self.found(given["name"])
        if given.get("etag", endpoint["etag"]) != endpoint["etag"]:
            raise Refused("ABORTED", "The etag is not the endpoint's: it was changed meanwhile.")
        endpoint["trafficSplit"] = self.checked_split(endpoint, given.get("trafficSplit", {}))
        self.changed(endpoint)
        return endpoint

    def checked_split(self, endpoint, split):
        known = {deployed["id"] for deployed in endpoint["deployedModels"]}
        if any(deployed not in known for deployed in split):
            raise Refused("INVALID_ARGUMENT", f"The traffic split names what is not deployed: {split}")
        if split and sum(split.values()) != 100:
            raise Refused("INVALID_ARGUMENT", f"The traffic split does not add up to 100: {split}")
        return split

    def deploy(self, data):
        endpoint, deployed = self.found(data["endpoint"]), data.get("deployedModel", {})
        required(deployed, "model", "dedicatedResources.machineSpec.machineType", "dedicatedResources.minReplicaCount")
        version = self.models.version(deployed["model"])

        def effect():
            made = {
                **deployed,
                "id": str(self.world.number()),
                "model": version["name"],
                "modelVersionId": version["versionId"],
                "createTime": self.world.now(),
            }
            endpoint["deployedModels"].append(made)
            if data.get("trafficSplit"):
                split = {made["id"] if key == "0" else key: share for key, share in data["trafficSplit"].items()}
                endpoint["trafficSplit"] = self.checked_split(endpoint, split)
            self.changed(endpoint)
            kind = "type.googleapis.com/google.cloud.aiplatform.v1.DeployModelResponse"
            return {"@type": kind, "deployedModel": {"id": made["id"]}}

        return self.world.start(endpoint["name"], "DeployModel", effect)

    def undeploy(self, data):
        required(data, "deployedModelId")
        endpoint, chosen = self.found(data["endpoint"]), data["deployedModelId"]
        if all(deployed["id"] != chosen for deployed in endpoint["deployedModels"]):
            raise Refused("NOT_FOUND", f"There is no DeployedModel {chosen}.")
        if endpoint["trafficSplit"].get(chosen, 0) > 0:
            raise Refused("FAILED_PRECONDITION", f"The DeployedModel {chosen} still has traffic.")

        def effect():
            endpoint["deployedModels"] = [one for one in endpoint["deployedModels"] if one["id"] != chosen]
            endpoint["trafficSplit"].pop(chosen, None)
            self.changed(endpoint)
            return {"@type": "type.googleapis.com/google.cloud.aiplatform.v1.UndeployModelResponse"}

        return self.world.start(endpoint["name"], "UndeployModel", effect)

    def by_hand(self, name, fields):
        """A person's change of an endpoint: traffic by version, such as {"1": 50, "2": 50}."""
        endpoint = self.found(name)
        ids = {deployed["modelVersionId"]: deployed["id"] for deployed in endpoint["deployedModels"]}
        endpoint["trafficSplit"] = {ids[version]: share for version, share in fields["traffic"].items()}
        self.changed(endpoint)

    def predict(self, data):
        endpoint = self.found(data["endpoint"])
        split = {key: share for key, share in endpoint["trafficSplit"].items() if share}
        if not split:
            raise Refused("FAILED_PRECONDITION", "The endpoint has no deployed model with traffic.")
        if any(isinstance(instance, dict) and "bad" in instance for instance in data["instances"]):
            words = '{"error": {"code": 400, "message": "instance 0: unknown field `bad`"}}'
            raise Refused("INVALID_ARGUMENT", words)
        ticket, chosen = self.asked * 61 % 100, None
        self.asked += 1
        for key, share in split.items():
            if ticket < share:
                chosen = key
                break
            ticket -= share
        deployed = next(one for one in endpoint["deployedModels"] if one["id"] == chosen)
        return {
            "predictions": [{"value": 1.0, "parameters": data.get("parameters")} for _ in data["instances"]],
            "deployedModelId": chosen,
            "model": deployed["model"],
            "modelDisplayName": deployed.get("displayName", ""),
            "modelVersionId": deployed["modelVersionId"],
        }

    def list_series(self, data):
        required(data, "filter", "interval.startTime", "interval.endTime", "aggregation.alignmentPeriod")
        if data["aggregation"].get("perSeriesAligner") != "ALIGN_DELTA":
            raise Refused("INVALID_ARGUMENT", "The fake adds up by ALIGN_DELTA only")
        if float(data["aggregation"]["alignmentPeriod"][:-1]) < 60:
            raise Refused("INVALID_ARGUMENT", "The alignment period must be at least 60 seconds")
        conditions = {}
        for text in data["filter"].split(" AND "):
            found = CONDITION.match(text)
            if not found:
                raise Refused("INVALID_ARGUMENT", f"The filter is not valid: {text}")
            many = found[3] and [value.strip(' "') for value in found[3].split(",")]
            conditions[found[1]] = many or [found[2]]
        wanted = conditions["metric.type"][0]
        if wanted.startswith("logging.googleapis.com/user/") and all(
            series["metric"]["type"] != wanted for series in self.series
        ):
            raise Refused("NOT_FOUND", f"Cannot find metric(s) that match type = {wanted}.")
        matching = [series for series in self.series if all(fits(series, *each) for each in conditions.items())]
        # One series a page: answers are read to their end.
        start = int(data.get("pageToken", "0"))
        answer = {"timeSeries": matching[start : start + 1]}
        if start + 1 < len(matching):
            answer["nextPageToken"] = str(start + 1)
        return written(answer, ANSWERS["ListTimeSeries"])

    def methods(self):
        return {
            "CreateEndpoint": self.create,
            "GetEndpoint": writes(self.get, "Endpoint"),
            "ListEndpoints": writes(self.list, "ListEndpointsResponse"),
            "UpdateEndpoint": writes(self.update, "Endpoint"),
            "DeployModel": self.deploy,
            "UndeployModel": self.undeploy,
            "Predict": writes(self.predict, "PredictResponse"),
            "ListTimeSeries": self.list_series,
        }


def fits(series, field, values):
    value = series
    for part in field.split("."):
        value = value.get(part, {}) if isinstance(value, dict) else {}
    return value in values
