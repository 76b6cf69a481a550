"""requests: change the address."""

import requests

from scenarios import Failure, run


class Requests:
    def __init__(self, base, token):
        # docs: requests
        self.base = f"{base}/v1.0"
        self.graph = requests.Session()
        self.graph.headers["Authorization"] = f"Bearer {token}"
        # end

    def ask(self, method, path, **kwargs):
        answer = self.graph.request(method, self.base + path, **kwargs)
        if answer.status_code >= 400:
            raise Failure(answer.status_code, answer.content)
        return answer

    def get(self, path):
        return self.ask("GET", path).content

    def put(self, path, data):
        self.ask("PUT", path, data=data, headers={"Content-Type": "image/jpeg"})

    def delete(self, path):
        self.ask("DELETE", path)

    def batch(self, parts):
        return self.ask("POST", "/$batch", json={"requests": parts}).json()["responses"]


run("requests", 8, Requests)
