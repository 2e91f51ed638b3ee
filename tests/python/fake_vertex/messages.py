"""Requests and answers, read and written by Google's own definitions.

Paths, methods and bodies come from the tables of Google's REST clients (google-cloud-aiplatform); fields, enums and the JSON
forms of numbers, times and durations from the messages. What json_format lets pass although the service would not mean it,
names in snake_case, is refused here.
"""

import importlib
import json
import re

from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse
from google.cloud.monitoring_v3.types import ListTimeSeriesRequest, ListTimeSeriesResponse
from google.longrunning import operations_pb2
from google.protobuf import json_format

CODES = {
    "CANCELLED": (1, 499),
    "UNKNOWN": (2, 500),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
}


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message

    @property
    def http(self):
        return CODES[self.status][1]

    def body(self):
        return {"error": {"code": self.http, "message": self.message, "status": self.status}}

    def rpc(self):
        """As an operation has it."""
        return {"code": CODES[self.status][0], "message": self.message}


# What the fake does, by the service it is of.
METHODS = {
    "job_service": ["CreateCustomJob", "GetCustomJob", "ListCustomJobs", "CancelCustomJob", "GetOperation"],
    "model_service": [
        "UploadModel",
        "GetModel",
        "ListModels",
        "ListModelVersions",
        "MergeVersionAliases",
        "ImportModelEvaluation",
        "ListModelEvaluations",
    ],
    "endpoint_service": [
        "CreateEndpoint",
        "GetEndpoint",
        "ListEndpoints",
        "UpdateEndpoint",
        "DeployModel",
        "UndeployModel",
    ],
    "prediction_service": ["Predict"],
}


class Route:
    """A method: which requests are its, and the message they are read as."""

    def __init__(self, method, verb, uri, body, request):
        self.method, self.verb, self.body, self.request = method, verb.upper(), body, request
        self.fields = []
        pattern = ""
        for text, field in re.findall(r"([^{]*)(?:\{([^}]*)\})?", uri):
            pattern += re.escape(text)
            if field:
                name, _, template = field.partition("=")
                self.fields.append(name)
                pattern += "(" + re.escape(template).replace(r"\*", "[^/:]+") + ")"
        self.pattern = re.compile(pattern + "$")

    def read(self, path, query, body):
        """The request message, as (JSON, message)."""
        found = self.pattern.match(path)
        if self.body is None:
            if body:
                raise Refused("INVALID_ARGUMENT", f"{self.method} takes no body")
            data = {}
        else:
            given = decoded(body)
            data = given if self.body == "*" else {camel(self.body): given}
        for field, value in zip(self.fields, found.groups()):
            put(data, [camel(part) for part in field.split(".")], value)
        for name, values in query.items():
            put(data, name.split("."), values[0] if len(values) == 1 else values)
        return data, strictly(data, self.request)


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def decoded(body):
    try:
        given = json.loads(body)
    except ValueError as error:
        raise Refused("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
    if not isinstance(given, dict):
        raise Refused("INVALID_ARGUMENT", "Invalid JSON payload received. It is no object.")
    return given


def put(data, path, value):
    for part in path[:-1]:
        data = data.setdefault(part, {})
    if path[-1] in data:
        raise Refused("INVALID_ARGUMENT", f"{'.'.join(path)} is given twice")
    data[path[-1]] = value


def strictly(data, message_type):
    """The message that the JSON is, or a refusal that names what is wrong."""
    message = message_type.pb(message_type()) if hasattr(message_type, "pb") else message_type()
    check_names(data, message.DESCRIPTOR, "")
    try:
        return json_format.ParseDict(data, message)
    except json_format.ParseError as error:
        raise Refused("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error


def check_names(data, descriptor, at):
    if descriptor.full_name.startswith("google.protobuf.") or not isinstance(data, dict):
        return
    fields = {field.json_name: field for field in descriptor.fields}
    for name, value in data.items():
        field = fields.get(name)
        if field is None:
            raise Refused("INVALID_ARGUMENT", f'Unknown name "{name}" at "{at or descriptor.name}": Cannot find field.')
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            of = field.message_type.fields_by_name["value"].message_type
            values = value.values() if of is not None and isinstance(value, dict) else []
        else:
            of, values = field.message_type, value if isinstance(value, list) else [value]
        for inner in values:
            check_names(inner, of, f"{at}.{name}".strip("."))


def written(data, message_type):
    """An answer in the JSON that the service writes: checked, 64-bit numbers as text, nothing that is empty."""
    return json_format.MessageToDict(strictly(data, message_type))


def writes(of, name):
    """A method that answers with the message of this name."""
    return lambda data: written(of(data), message(name))


def message(name):
    """A message of Vertex AI by its name."""
    return getattr(importlib.import_module("google.cloud.aiplatform_v1.types"), name)


def routes():
    found = []
    for service, methods in METHODS.items():
        module = importlib.import_module(f"google.cloud.aiplatform_v1.services.{service}.transports.rest_base")
        transport = next(getattr(module, name) for name in dir(module) if name.startswith("_Base") and "Rest" in name)
        for method in methods:
            options = getattr(transport, f"_Base{method}")._get_http_options()
            is_operation = method == "GetOperation"
            request = operations_pb2.GetOperationRequest if is_operation else message(f"{method}Request")
            for option in options:
                if option["uri"].startswith("/v1/"):
                    found.append(Route(method, option["method"], option["uri"], option.get("body"), request))
    # Cloud Monitoring's and Cloud Logging's packages have no tables: these two are from their reference.
    found.append(Route("ListTimeSeries", "get", "/v3/{name=projects/*}/timeSeries", None, ListTimeSeriesRequest))
    found.append(Route("ListLogEntries", "post", "/v2/entries:list", "*", ListLogEntriesRequest))
    return found


ANSWERS = {"ListTimeSeries": ListTimeSeriesResponse, "ListLogEntries": ListLogEntriesResponse}
