"""msgraph-sdk: the adapter's base_url before the client is made, scopes given, host allowed."""

import asyncio
import re
import time

from azure.core.credentials import AccessToken
from kiota_abstractions.api_error import APIError
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from urllib.parse import urlsplit

from scenarios import Failure, run

LOOP = asyncio.new_event_loop()


class Credential:
    def __init__(self, token):
        self.token = token

    async def get_token(self, *scopes, **kwargs):
        return AccessToken(self.token, int(time.time()) + 3600)

    async def close(self):
        pass


class Sdk:
    def __init__(self, base, token):
        credential = Credential(token)
        # docs: msgraph-sdk-python
        authentication = AzureIdentityAuthenticationProvider(
            credential,
            scopes=["https://graph.microsoft.com/.default"],
            allowed_hosts=[urlsplit(base).hostname],
        )
        adapter = GraphRequestAdapter(authentication)
        adapter.base_url = f"{base}/v1.0"
        client = GraphServiceClient(request_adapter=adapter)
        # end
        self.adapter, self.client, self.base = adapter, client, base

    def told(self, asked):
        try:
            return LOOP.run_until_complete(asked)
        except APIError as error:
            code = getattr(getattr(error, "error", None), "code", None)
            failure = Failure(error.response_status_code)
            failure.code = code
            raise failure from error

    def send(self, method, path, data=None, kind=None):
        request = RequestInformation(method, "{+baseurl}" + path.replace("$", "%24"), {"baseurl": f"{self.base}/v1.0"})
        request.headers.add("Accept", "application/octet-stream, application/json")
        if data is not None:
            request.set_stream_content(data, kind)
        return self.told(self.adapter.send_primitive_async(request, "bytes", {}))

    def get(self, path):
        # The fluent way, as an app would write it.
        user = re.fullmatch(r"/users/([^/]+)/photo/\$value", path)
        if path == "/me/photo/$value":
            return self.told(self.client.me.photo.content.get())
        if user:
            return self.told(self.client.users.by_user_id(user[1]).photo.content.get())
        group = re.fullmatch(r"/groups/([^/]+)/photo/\$value", path)
        if group:
            return self.told(self.client.groups.by_group_id(group[1]).photo.content.get())
        team = re.fullmatch(r"/teams/([^/]+)/photo/\$value", path)
        if team:
            return self.told(self.client.teams.by_team_id(team[1]).photo.content.get())
        return self.send(Method.GET, path)

    def put(self, path, data):
        user = re.fullmatch(r"/users/([^/]+)/photo/\$value", path)
        self.told(self.client.users.by_user_id(user[1]).photo.content.put(data))

    def delete(self, path):
        user = re.fullmatch(r"/users/([^/]+)/photo/\$value", path)
        self.told(self.client.users.by_user_id(user[1]).photo.content.delete())

    def batch(self, requests):
        import json

        data = json.dumps({"requests": requests}).encode()
        return json.loads(self.send(Method.POST, "/$batch", data, "application/json"))["responses"]


run("msgraph-sdk for Python", 10, Sdk)
