"""A fake Vertex AI, with the parts of Cloud Logging and Cloud Monitoring that go with it.

    python tests/python/fake_vertex --port 9070 [--storage http://127.0.0.1:4443]

`POST /control` with a JSON object is a test's word:

    begin                 with nothing in it
    operationTicks        requests until an operation is done
    alreadyExistsInside   whether only the operation says so
    listLag               requests until a new job is listed
    aliasesMove           whether an alias leaves the version that has it
    timeoutState          the state of a job whose time is over
    logPage               entries of a log a page
    failures              a list of {method, status, message, inside, times}
    failAt                {n, after}: the n-th request from now is answered 503, before it has its effect or after
    jobs                  {id: fields of the custom job}
    endpoints             {resource name: {traffic: {version: share}}}, a change by hand
    series                Cloud Monitoring's

`GET /control` tells which methods were asked for and what there is.
"""

import argparse
import json
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from endpoints import Endpoints
from jobs import Jobs
from messages import Refused, routes
from models import Models
from world import World

# A body past this is no request of ours.
BODY_LIMIT = 16 << 20


class Fake:
    def __init__(self, storage):
        self.lock = threading.Lock()
        self.routes = routes()
        self.begin(storage)

    def begin(self, storage):
        """With nothing in it."""
        self.world = World(storage)
        self.jobs, self.models = Jobs(self.world), Models(self.world)
        self.endpoints = Endpoints(self.world, self.models)
        self.methods = {
            **self.jobs.methods(),
            **self.models.methods(),
            **self.endpoints.methods(),
            "GetOperation": self.world.get_operation,
        }
        self.requests, self.fail_at = [], None

    def answer(self, verb, path, query, body):
        route = next((one for one in self.routes if one.verb == verb and one.pattern.match(path)), None)
        if route is None:
            raise Refused("NOT_FOUND", f"Google's tables have no {verb} {path}, or the fake does not do it")
        self.requests.append(route.method)
        self.world.tick()
        self.jobs.tick()
        fails, after = self.fails_now()
        lost = Refused("UNAVAILABLE", "The service is currently unavailable.")
        if fails and not after:
            raise lost
        data, _ = route.read(path, query, body)
        planned = self.world.planned(route.method, inside=False)
        if planned:
            raise planned
        answered = self.methods[route.method](data)
        if fails:
            raise lost
        return answered

    def fails_now(self):
        if self.fail_at is None:
            return False, False
        self.fail_at["n"] -= 1
        if self.fail_at["n"] > 0:
            return False, False
        after = self.fail_at.get("after", False)
        self.fail_at = None
        return True, after

    def control(self, words):
        settings = {
            "operationTicks": "operation_ticks",
            "alreadyExistsInside": "already_exists_inside",
            "listLag": "list_lag",
            "aliasesMove": "aliases_move",
            "timeoutState": "timeout_state",
            "logPage": "log_page",
        }
        for word, value in words.items():
            if word in settings:
                setattr(self.world, settings[word], value)
            elif word == "begin":
                self.begin(self.world.storage)
            elif word == "failures":
                self.world.failures = value
            elif word == "failAt":
                self.fail_at = value
            elif word == "jobs":
                for job, fields in value.items():
                    self.jobs.patch(job, fields)
            elif word == "endpoints":
                for name, fields in value.items():
                    self.endpoints.by_hand(name, fields)
            elif word == "series":
                self.endpoints.series = value
            else:
                raise Refused("INVALID_ARGUMENT", f"{word} is no word of the control")
        return {}

    def seen(self):
        return {
            "requests": self.requests,
            "jobs": list(self.jobs.jobs.values()),
            "models": self.models.models,
            "evaluations": self.models.evaluations,
            "endpoints": self.endpoints.endpoints,
            "failAt": self.fail_at,
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: together they would wait for the other side's word.
    disable_nagle_algorithm = True

    def handle_any(self):
        split = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        if length > BODY_LIMIT:
            return self.send(413, {})
        body = self.rfile.read(length)
        fake = self.server.fake
        with fake.lock:
            try:
                if split.path == "/control":
                    answer = fake.control(json.loads(body)) if self.command == "POST" else fake.seen()
                else:
                    query = parse_qs(split.query, keep_blank_values=True)
                    answer = fake.answer(self.command, split.path, query, body)
                status = 200
            except Refused as refused:
                status, answer = refused.http, refused.body()
            except Exception:
                # A mistake of the fake's own: told, so that the test shows it.
                status, answer = 500, {"error": {"code": 500, "message": traceback.format_exc(), "status": "INTERNAL"}}
            # Before the lock is given back: a copy, since the next request may change what is in it.
            text = json.dumps(answer).encode()
        return self.send(status, text)

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any

    def send(self, status, text):
        text = text if isinstance(text, bytes) else json.dumps(text).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--storage")
    arguments = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.fake = Fake(arguments.storage)
    server.serve_forever()


if __name__ == "__main__":
    main()
