"""httpx: change the address."""

import httpx

from scenarios import Failure, run


class Httpx:
    def __init__(self, base, token):
        # docs: httpx
        self.graph = httpx.Client(
            base_url=f"{base}/v1.0", headers={"Authorization": f"Bearer {token}"}
        )
        # end

    def ask(self, *args, **kwargs):
        answer = self.graph.request(*args, **kwargs)
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


run("httpx", 7, Httpx)
