"""msgraph-core: its client is an httpx client with Graph's middleware; change the address."""

import asyncio

from msgraph_core import GraphClientFactory

from scenarios import Client, run

LOOP = asyncio.new_event_loop()


class Core(Client):
    def __init__(self, base, token):
        # docs: msgraph-core
        graph = GraphClientFactory.create_with_default_middleware(host=base)
        graph.base_url = f"{base}/v1.0"
        graph.headers["Authorization"] = f"Bearer {token}"
        # end
        self.graph = graph

    def send(self, *args, **kwargs):
        return LOOP.run_until_complete(self.graph.request(*args, **kwargs))


run("msgraph-core", 9, Core)
