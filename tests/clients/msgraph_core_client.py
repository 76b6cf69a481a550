"""msgraph-core: its client is an httpx client with Graph's middleware; change the address."""

import asyncio

from msgraph_core import GraphClientFactory

from scenarios import Failure, run

LOOP = asyncio.new_event_loop()


class Core:
    def __init__(self, base, token):
        # docs: msgraph-core
        self.graph = GraphClientFactory.create_with_default_middleware(host=base)
        self.graph.base_url = f"{base}/v1.0"
        self.graph.headers["Authorization"] = f"Bearer {token}"
        # end

    def ask(self, *args, **kwargs):
        answer = LOOP.run_until_complete(self.graph.request(*args, **kwargs))
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


run("msgraph-core", 9, Core)
