"""What every Python client is put through: direct to Graph and through the proxy.

A client has `get(path)` giving bytes, `put(path, bytes)`, `delete(path)` and
`batch(requests)`; a failed answer raises `Failure`.
"""

import base64
import hashlib
import json
import os
import sys
import urllib.request

WORLD = json.loads(os.environ["WORLD"])


class Failure(Exception):
    def __init__(self, status, body=b""):
        super().__init__(f"HTTP {status}")
        self.status = status
        try:
            self.code = json.loads(body)["error"]["code"]
        except (ValueError, KeyError, TypeError):
            self.code = None


class Client:
    """A client of HTTP and no more: `send(method, path, **fields)` gives its answer."""

    def ask(self, *args, **kwargs):
        answer = self.send(*args, **kwargs)
        if answer.status_code >= 400:
            raise Failure(answer.status_code, answer.content)
        return answer

    def get(self, path):
        return self.ask("GET", path).content

    def put(self, path, data):
        self.ask("PUT", path, content=data, headers={"Content-Type": "image/jpeg"})

    def delete(self, path):
        self.ask("DELETE", path)

    def batch(self, requests):
        return self.ask("POST", "/$batch", json={"requests": requests}).json()["responses"]


def count(path="/count"):
    with urllib.request.urlopen(WORLD["control"] + path) as answer:
        return json.load(answer)


def outcome(ask):
    try:
        return ask()
    except Failure as failure:
        return (failure.status, failure.code)


def short(data):
    return hashlib.sha256(bytes(data)).hexdigest()[:16]


def reads(n):
    a, b = WORLD["people"][n + 1], WORLD["people"][n + 2]
    none = WORLD["faceless"][n % len(WORLD["faceless"])]
    contact, folder = WORLD["contact"], WORLD["folder"]
    return {
        "my photo": "/me/photo/$value",
        "a user by id": f"/users/{a['id']}/photo/$value",
        "a user by principal name": f"/users/{b['upn']}/photo/$value",
        "a sized photo": f"/users/{a['id']}/photos/48x48/$value",
        "a group": f"/groups/{WORLD['group']}/photo/$value",
        "a team": f"/teams/{WORLD['team']}/photo/$value",
        "a contact": f"/me/contacts/{contact}/photo/$value",
        "a contact in a folder": f"/me/contactFolders/{folder}/contacts/{contact}/photo/$value",
        "no photo": f"/users/{none['id']}/photo/$value",
        "metadata": f"/users/{a['id']}/photo",
        "the list of sizes": f"/users/{a['id']}/photos",
        "metadata of no photo": f"/users/{none['id']}/photo",
    }


def one_pass(client, n):
    def seen(path):
        data = outcome(lambda: client.get(path))
        if isinstance(data, tuple):
            return data
        return short(data) if path.endswith("$value") else json.loads(bytes(data))

    return {name: seen(path) for name, path in reads(n).items()}


def batch_pass(client, n):
    a, b = WORLD["people"][n + 1], WORLD["people"][n + 2]
    none = WORLD["faceless"][n % len(WORLD["faceless"])]
    requests = [
        {"id": "1", "method": "GET", "url": f"/users/{a['id']}/photo/$value"},
        {"id": b["upn"], "method": "GET", "url": f"/users/{b['id']}/photo/$value"},
        {"id": "none", "method": "GET", "url": f"/users/{none['id']}/photo/$value"},
        {"id": "json", "method": "GET", "url": f"/users/{a['id']}/photo"},
    ]
    seen = {}
    for part in client.batch(requests):
        body, headers = part.get("body"), part.get("headers") or {}
        if isinstance(body, dict) and "error" in body:
            body = body["error"]["code"]
        elif isinstance(body, str):
            body = short(base64.b64decode(body, validate=True))
        seen[part["id"]] = (part["status"], headers.get("Content-Type"), headers.get("ETag"), body)
    return seen


def run(name, n, make, direct=None, through=None):
    failed = False

    def say(what, fine, more):
        nonlocal failed
        failed |= not fine
        print(f"{'ok' if fine else 'not ok'} {name}: {what}" + ("" if fine else f" {more}"), flush=True)

    graph = make(direct or WORLD["graph"], WORLD["token"])
    proxy = make(through or WORLD["proxy"], WORLD["token"])
    expected, cold = one_pass(graph, n), one_pass(proxy, n)
    count("/clear")
    warm = one_pass(proxy, n)
    calls = count()["photoCalls"]
    for what, value in expected.items():
        say(what, value == cold[what] == warm[what], (value, cold[what], warm[what]))
    say("a warm pass costs no photo call", calls == 0, calls)
    say("no photo is 404", expected["no photo"][0] == 404, expected["no photo"])

    path = f"/users/{WORLD['people'][n + 20]['id']}/photo/$value"
    other = bytes(graph.get(f"/users/{WORLD['people'][n + 1]['id']}/photo/$value"))
    before = short(proxy.get(path))
    proxy.put(path, other)
    after, truth = short(proxy.get(path)), short(graph.get(path))
    say("a change is read at once", before != after == truth, (before, after, truth))
    proxy.delete(path)
    gone = outcome(lambda: proxy.get(path))
    say("a deletion is read at once", isinstance(gone, tuple) and gone[0] == 404, gone)

    if hasattr(proxy, "batch"):
        expected = batch_pass(graph, n)
        batch_pass(proxy, n)
        count("/clear")
        warm = batch_pass(proxy, n)
        calls = count()["calls"]
        say("a batch with photos reads the same", expected == warm, (expected, warm))
        say("a warm batch costs no call", calls == 0, calls)
    sys.exit(1 if failed else 0)
