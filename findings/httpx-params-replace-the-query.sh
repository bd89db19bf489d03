#!/usr/bin/env bash
# httpx 0.28.1 and requests 2.34.2. A URL with a query of its own, and `params` of the request or of the client.
# Guess: params are added to the query, as requests does, whose interface httpx has.
# Behaviour: params take the query's place: the signature of a signed URL is gone, and an empty dict for params empties the query; None
#   does not. Parameters of the client do so to each URL that is asked for. Nothing is said; the server answers something else.
# Seen: ?sig=1 with params {'b': 2}: httpx ?b=2, requests ?sig=1&b=2; with {}: httpx none; with client params {'k': 1}: ?k=1.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 requests==2.34.2
"$work/bin/python" - <<'PY'
import httpx
import requests

URL = "http://example.test/image?sig=1"


def by_httpx(params, of_client=None):
    with httpx.Client(params=of_client) as client:
        return client.build_request("GET", URL, params=params).url.query.decode()


def by_requests(params, of_client=None):
    with requests.Session() as session:
        session.params = of_client or {}
        return session.prepare_request(requests.Request("GET", URL, params=params)).url.partition("?")[2]


cases = {"None": (None,), "{}": ({},), "{'b': 2}": ({"b": 2},), "{'k': 1} of the client": (None, {"k": 1})}
seen = {name: (by_httpx(*case), by_requests(*case)) for name, case in cases.items()}
for name, (ours, others) in seen.items():
    print(f"params {name:<23} httpx {ours!r:<9} requests {others!r}")
assert seen == {
    "None": ("sig=1", "sig=1"),
    "{}": ("", "sig=1"),
    "{'b': 2}": ("b=2", "sig=1&b=2"),
    "{'k': 1} of the client": ("k=1", "sig=1&k=1"),
}, "params are added now"
PY
