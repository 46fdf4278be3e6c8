"""The asynchronous methods, and webhooks, by the client as it is."""

import asyncio
import http.server
import io
import json
import os
import threading
import unittest
import uuid

import replicate
from inventory import inventory  # noqa: F401: the report asks for it
from replicate.exceptions import ReplicateError
from replicate.webhook import InvalidSignatureError

VERSIONS = json.loads(os.environ["VERSIONS"])


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        # An httpx client belongs to the event loop that it was first used in.
        self.client = replicate.Client()

    async def test_account_and_hardware(self):
        self.assertEqual((await self.client.accounts.async_current()).username, "local")
        self.assertIn("cpu", [each.sku for each in await self.client.hardware.async_list()])

    async def test_models_are_created_read_listed_and_deleted(self):
        name = f"made-{uuid.uuid4().hex}"
        made = await self.client.models.async_create(
            owner="local", name=name, visibility="private", hardware="cpu"
        )
        self.assertEqual((await self.client.models.async_get("local", name)).id, made.id)
        listed = [each.name for each in (await self.client.models.async_list()).results]
        self.assertIn("hello-world", listed)
        self.assertTrue(await self.client.models.async_delete("local", name))
        with self.assertRaises(ReplicateError) as refused:
            await self.client.models.async_get("local", name)
        self.assertEqual(refused.exception.status, 404)

    async def test_model_is_deleted(self):
        name = f"made-{uuid.uuid4().hex}"
        replicate.models.create(owner="local", name=name, visibility="private", hardware="cpu")
        self.assertTrue(replicate.models.delete("local", name))
        with self.assertRaises(ReplicateError):
            replicate.models.get("local", name)

    async def test_versions_are_listed_read_and_deleted(self):
        model = await self.client.models.async_get("local/doomed-later")
        [version] = (await model.versions.async_list()).results
        self.assertEqual((await model.versions.async_get(version.id)).id, version.id)
        await model.versions.async_delete(version.id)
        self.assertEqual((await model.versions.async_list()).results, [])

    async def test_predictions_are_created_reloaded_listed_and_canceled(self):
        made = await self.client.models.predictions.async_create("local/sleeper", input={"seconds": 60})
        await made.async_reload()
        self.assertIn(made.id, [each.id for each in (await self.client.predictions.async_list()).results])
        self.assertEqual((await self.client.predictions.async_cancel(made.id)).status, "canceled")

    async def test_prediction_is_streamed(self):
        made = await self.client.predictions.async_create(
            version=VERSIONS["counter"], input={"n": 3, "delay": 0.05}
        )
        events = [str(event) async for event in made.async_stream()]
        self.assertEqual("".join(events), "012")

    async def test_output_comes_while_the_model_runs(self):
        made = await self.client.predictions.async_create(
            version=VERSIONS["counter"], input={"n": 5, "delay": 0.1}
        )
        self.assertEqual([item async for item in made.async_output_iterator()], [0, 1, 2, 3, 4])

    async def test_files_are_created_read_listed_and_deleted(self):
        file = await self.client.files.async_create(io.BytesIO(b"abc"), filename="a.txt")
        self.assertEqual(await self.client.files.async_get(file.id), file)
        self.assertIn(file.id, [each.id for each in await self.client.files.async_list()])
        await self.client.files.async_delete(file.id)
        with self.assertRaises(ReplicateError):
            await self.client.files.async_get(file.id)

    async def test_run_with_a_file(self):
        output = await self.client.async_run("local/file-size", input={"file": io.BytesIO(b"abc")})
        self.assertEqual(output, "3 616263")


class Webhooks(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        arrived = self.arrived = []

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                arrived.append((dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    async def test_webhook_is_accepted_by_the_validator(self):
        made = replicate.predictions.create(
            model="local/noop",
            input={"text": "żółw"},
            webhook=self.url,
            webhook_events_filter=["completed"],
        )
        while not self.arrived:
            await asyncio.sleep(0.01)
        [(headers, body)] = self.arrived
        secret = replicate.webhooks.default.secret()
        self.assertEqual(secret, await replicate.Client().webhooks.default.async_secret())
        replicate.webhooks.validate(headers=headers, body=body, secret=secret, tolerance=60)
        self.assertEqual(json.loads(body)["id"], made.id)
        with self.assertRaises(InvalidSignatureError):
            replicate.webhooks.validate(headers=headers, body=f"{body} ", secret=secret)
