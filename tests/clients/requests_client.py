"""requests: change the address."""

import requests

from scenarios import Client, run


class Requests(Client):
    def __init__(self, base, token):
        self.base, self.token = base, token

    def send(self, method, path, content=None, headers=None, **kwargs):
        base, token = self.base, self.token
        if method == "GET" and headers is None and not kwargs:
            # docs: requests
            answer = requests.get(f"{base}/v1.0{path}", headers={"Authorization": f"Bearer {token}"})
            # end
            return answer
        headers = {**(headers or {}), "Authorization": f"Bearer {token}"}
        return requests.request(method, f"{base}/v1.0{path}", data=content, headers=headers, **kwargs)


run("requests", 8, Requests)
