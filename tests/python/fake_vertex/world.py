"""What the resources share: names, times, labels, long operations, and what a test has asked for."""

import re
from datetime import datetime, timedelta, timezone

from messages import Refused

# Answers name the project by its number, as the service does.
PROJECT_NUMBER = "123456789012"

LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}$")
LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}$")


def canonical(name):
    """A resource name with the project's number in the place of its id."""
    return re.sub(r"^projects/[^/]+", f"projects/{PROJECT_NUMBER}", name)


def required(data, *fields):
    for field in fields:
        value = data
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value in (None, "", [], {}):
            raise Refused("INVALID_ARGUMENT", f"Required field is not set: {field}")


def checked_labels(resource):
    for key, value in resource.get("labels", {}).items():
        if not LABEL_KEY.match(key) or not LABEL_VALUE.match(value):
            raise Refused("INVALID_ARGUMENT", f"The label {key}={value} is not valid")


def by_labels(resources, text):
    """Those that a filter lets pass. Only filters by one label are known."""
    if not text:
        return list(resources)
    found = re.fullmatch(r'labels\.([a-z0-9_-]+)="?([a-z0-9_-]*)"?', text)
    if not found:
        raise Refused("INVALID_ARGUMENT", f"The filter is not valid: {text}")
    return [resource for resource in resources if resource.get("labels", {}).get(found[1]) == found[2]]


def page(resources, data, field):
    """One page of a list."""
    start = int(data.get("pageToken", "0"))
    size = int(data.get("pageSize", "50"))
    if not 1 <= size <= 100:
        raise Refused("INVALID_ARGUMENT", f"A page of {size} is not possible")
    answer = {field: resources[start : start + size]}
    if start + size < len(resources):
        answer["nextPageToken"] = str(start + size)
    return answer


class Operation:
    def __init__(self, name, ticks, effect):
        self.name, self.ticks, self.effect, self.result = name, ticks, effect, None

    def tick(self):
        if self.result is None:
            self.ticks -= 1
            if self.ticks <= 0:
                try:
                    self.result = {"response": self.effect()}
                except Refused as refused:
                    self.result = {"error": refused.rpc()}

    def answer(self):
        return {"name": self.name, **({"done": True, **self.result} if self.result else {})}


class World:
    """Time passes by requests: each one is a tick of every operation and job."""

    def __init__(self, storage):
        self.storage = storage
        self.operations = {}
        self.serial = 0
        self.last = datetime.now(timezone.utc)
        # What a test sets; `/control` has the names.
        self.operation_ticks = 2
        self.already_exists_inside = False
        self.list_lag = 0
        self.aliases_move = True
        self.timeout_state = "JOB_STATE_CANCELLED"
        self.log_page = 1000
        self.failures = []

    def now(self):
        """No two resources have one time."""
        self.last = max(self.last + timedelta(microseconds=1), datetime.now(timezone.utc))
        return stamp(self.last)

    def number(self):
        self.serial += 1
        return 1_000_000_000_000_000_000 + self.serial

    def tick(self):
        for operation in self.operations.values():
            operation.tick()

    def start(self, parent, method, effect):
        """A long operation below a resource; a failure that a test has planned for its inside takes the effect's place."""
        planned = self.planned(method, inside=True)

        def run():
            if planned:
                raise planned
            return effect()

        name = f"{canonical(parent)}/operations/{self.number()}"
        operation = Operation(name, self.operation_ticks, run)
        self.operations[name] = operation
        if self.operation_ticks <= 0:
            operation.tick()
        return operation.answer()

    def planned(self, method, inside):
        """The next failure that a test has planned for the method."""
        for failure in self.failures:
            if failure["method"] == method and failure.get("inside", False) == inside:
                failure["times"] = failure.get("times", 1) - 1
                if failure["times"] <= 0:
                    self.failures.remove(failure)
                return Refused(failure["status"], failure.get("message", "planned by the test"))
        return None

    def get_operation(self, data):
        name = canonical(data["name"])
        if name not in self.operations:
            raise Refused("NOT_FOUND", f"Operation {name} is not found")
        return self.operations[name].answer()


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
