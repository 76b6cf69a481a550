"""requests: change the address."""

import requests

from scenarios import Client, run


class Requests(Client):
    def __init__(self, base, token):
        # docs: requests
        self.base = f"{base}/v1.0"
        self.graph = requests.Session()
        self.graph.headers["Authorization"] = f"Bearer {token}"
        # end

    def send(self, method, path, content=None, **kwargs):
        return self.graph.request(method, self.base + path, data=content, **kwargs)


run("requests", 8, Requests)
