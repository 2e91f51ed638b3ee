"""Custom jobs and their logs.

A job's program is played by its first argument: `succeeds`, `fails` or `hangs`, as the contract of trainers has them.
"""

import json
import re
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

from messages import ANSWERS, Refused, writes, written
from world import by_labels, canonical, checked_labels, moment, page, required

ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
TICKS = {"JOB_STATE_QUEUED": 1, "JOB_STATE_PENDING": 1, "JOB_STATE_RUNNING": 2, "JOB_STATE_CANCELLING": 1}


class Jobs:
    def __init__(self, world):
        self.world, self.jobs, self.logs, self.left, self.hidden = world, {}, {}, {}, {}

    def tick(self):
        for name, job in self.jobs.items():
            self.hidden[name] = max(0, self.hidden[name] - 1)
            if job["state"] in ENDED:
                continue
            if job["state"] == "JOB_STATE_RUNNING" and self.is_over(job):
                self.end(job, self.world.timeout_state)
                continue
            self.left[name] -= 1
            if self.left[name] <= 0:
                self.advance(name, job)

    def is_over(self, job):
        timeout = job["jobSpec"].get("scheduling", {}).get("timeout", "604800s")
        limit = moment(job["startTime"]) + timedelta(seconds=float(timeout[:-1]))
        return datetime.now(timezone.utc) >= limit

    def advance(self, name, job):
        container = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
        state = job["state"]
        if state == "JOB_STATE_QUEUED":
            job["state"] = "JOB_STATE_PENDING"
        elif state == "JOB_STATE_PENDING":
            job["state"], job["startTime"] = "JOB_STATE_RUNNING", self.world.now()
            self.say(name, "started")
        elif state == "JOB_STATE_CANCELLING":
            self.end(job, "JOB_STATE_CANCELLED")
        elif container["args"][0] == "succeeds":
            env = {variable["name"]: variable["value"] for variable in container["env"]}
            self.upload(f"{env['AIP_MODEL_DIR']}/metrics.json", {"rows": 3})
            self.end(job, "JOB_STATE_SUCCEEDED")
        elif container["args"][0] == "fails":
            self.say(name, "no such column")
            words = "The replica workerpool0-0 exited with a non-zero status of 1."
            self.end(job, "JOB_STATE_FAILED", {"code": 3, "message": words})
        self.left[name] = TICKS.get(job["state"], 0)

    def end(self, job, state, error=None):
        job["state"], job["endTime"] = state, self.world.now()
        if error:
            job["error"] = error

    def say(self, name, text):
        entry = {
            "insertId": f"{self.world.number()}",
            "logName": "projects/shop/logs/workerpool0-0",
            "resource": {"type": "ml_job", "labels": {"job_id": name.split("/")[-1], "task_name": "workerpool0-0"}},
            "timestamp": self.world.now(),
            "textPayload": text,
        }
        self.logs.setdefault(name, []).append(entry)

    def upload(self, uri, value):
        if self.world.storage:
            bucket, name = uri.removeprefix("gs://").split("/", 1)
            query = urllib.parse.urlencode({"uploadType": "media", "name": name})
            url = f"{self.world.storage}/upload/storage/v1/b/{bucket}/o?{query}"
            request = urllib.request.Request(url, json.dumps(value).encode(), {"content-type": "application/json"})
            urllib.request.urlopen(request).close()

    def create(self, data):
        job = data["customJob"]
        required(job, "displayName", "jobSpec.workerPoolSpecs")
        checked_labels(job)
        if len(job["displayName"]) > 128:
            raise Refused("INVALID_ARGUMENT", "The display name is longer than 128 characters")
        pools = job["jobSpec"]["workerPoolSpecs"]
        for pool in pools:
            required(pool, "machineSpec.machineType", "replicaCount", "containerSpec.imageUri")
            env = pool["containerSpec"].get("env", [])
            if len(env) > 100 or any(not re.match(r"[A-Za-z_][A-Za-z0-9_]*$", variable["name"]) for variable in env):
                raise Refused("INVALID_ARGUMENT", "The variables of a container are not valid")
        if int(pools[0]["replicaCount"]) != 1:
            raise Refused("INVALID_ARGUMENT", "The first worker pool has exactly one replica")
        name = f"{canonical(data['parent'])}/customJobs/{self.world.number()}"
        made = {**job, "name": name, "state": "JOB_STATE_QUEUED", "createTime": self.world.now()}
        self.jobs[name], self.left[name], self.hidden[name] = made, TICKS["JOB_STATE_QUEUED"], self.world.list_lag
        return made

    def found(self, name):
        if canonical(name) not in self.jobs:
            raise Refused("NOT_FOUND", f"The CustomJob {name} is not found")
        return self.jobs[canonical(name)]

    def get(self, data):
        return self.found(data["name"])

    def list(self, data):
        # The newest first: nobody has promised an order.
        listed = [job for name, job in reversed(self.jobs.items()) if not self.hidden[name]]
        return page(by_labels(listed, data.get("filter", "")), data, "customJobs")

    def cancel(self, data):
        job = self.found(data["name"])
        if job["state"] not in ENDED:
            job["state"] = "JOB_STATE_CANCELLING"
            self.left[job["name"]] = TICKS["JOB_STATE_CANCELLING"]
        return {}

    def list_log(self, data):
        required(data, "resourceNames", "filter")
        found = re.fullmatch(
            r'resource\.type="ml_job" AND resource\.labels\.job_id="(\d+)"( AND timestamp>="([^"]+)")?', data["filter"]
        )
        if not found or data.get("orderBy") != "timestamp desc" or int(data["pageSize"]) > 1000:
            raise Refused("INVALID_ARGUMENT", f"The fake does not know this question: {data}")
        entries = [entry for name, log in self.logs.items() if name.endswith(f"/{found[1]}") for entry in log]
        if found[3]:
            entries = [entry for entry in entries if moment(entry["timestamp"]) >= moment(found[3])]
        entries.sort(key=lambda entry: entry["timestamp"], reverse=True)
        start = int(data.get("pageToken", "0"))
        end = start + min(self.world.log_page, int(data["pageSize"]))
        answer = {"entries": entries[start:end], **({"nextPageToken": str(end)} if end < len(entries) else {})}
        return written(answer, ANSWERS["ListLogEntries"])

    def patch(self, job, fields):
        """A test's own word on a job."""
        named = [found for found in self.jobs.values() if found["displayName"] == job]
        for found in named:
            found.update(fields)

    def methods(self):
        return {
            "CreateCustomJob": writes(self.create, "CustomJob"),
            "GetCustomJob": writes(self.get, "CustomJob"),
            "ListCustomJobs": writes(self.list, "ListCustomJobsResponse"),
            "CancelCustomJob": self.cancel,
            "ListLogEntries": self.list_log,
        }
