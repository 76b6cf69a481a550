"""httpx: change the address."""

import httpx

from scenarios import Client, run


class Httpx(Client):
    def __init__(self, base, token):
        # docs: httpx
        graph = httpx.Client(
            base_url=f"{base}/v1.0", headers={"Authorization": f"Bearer {token}"}
        )
        # end
        self.graph = graph

    def send(self, *args, **kwargs):
        return self.graph.request(*args, **kwargs)


run("httpx", 7, Httpx)
