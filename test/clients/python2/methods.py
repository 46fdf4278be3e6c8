"""Every method of the client that has a route, by the client as it is: once sync, once async.

`inventory` lists the client's methods by introspection and notes which of them the checks called.
"""

import inspect
import io
import json
import os
import tempfile
import unittest
import uuid
import warnings
from datetime import timedelta
from pathlib import Path

import replicate
from replicate.exceptions import ModelError
from replicate._resource import AsyncAPIResource, SyncAPIResource

VERSIONS = json.loads(os.environ["VERSIONS"])
# What the client inherits from its HTTP layer, and what opens or closes it.
PLUMBING = {"close", "copy", "delete", "get", "get_api_list", "is_closed", "patch", "platform_headers", "post", "put"}
PLUMBING |= {"query", "request"}

methods, called = set(), set()


def note(owner, name, path):
    original = getattr(owner, name)

    def noted(*args, **kwargs):
        called.add(path)
        return original(*args, **kwargs)

    setattr(owner, name, noted)


def look_at(instance, path):
    kind = type(instance)
    for name in dir(kind):
        if name.startswith(("_", "with_")) or (kind.__name__.endswith("Replicate") and name in PLUMBING):
            continue
        if inspect.isfunction(inspect.getattr_static(kind, name)):
            methods.add(path + name)
            note(kind, name, path + name)
        elif isinstance(getattr(instance, name, None), (SyncAPIResource, AsyncAPIResource)):
            look_at(getattr(instance, name), f"{path}{name}.")


def inventory():
    return {"methods": sorted(methods), "called": sorted(called)}


look_at(replicate.Replicate(), "sync ")
look_at(replicate.AsyncReplicate(), "async ")


class Sync(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.client = replicate.Replicate(max_retries=0)

    async def done(self, call):
        return call

    async def items(self, call):
        return list(call)

    async def refused(self, kind, call):
        with self.assertRaises(kind) as raised:
            await self.done(call())
        return raised.exception

    async def model(self):
        name = f"made-{uuid.uuid4().hex}"
        await self.done(
            self.client.models.create(
                owner="local", name=name, visibility="private", hardware="cpu", description="Made by a test"
            )
        )
        return {"model_owner": "local", "model_name": name}

    async def test_account_get(self):
        account = await self.done(self.client.account.get())
        self.assertEqual((account.type, account.username), ("user", "local"))

    async def test_hardware_list(self):
        hardware = await self.done(self.client.hardware.list())
        self.assertIn("gpu-t4", [each.sku for each in hardware])

    async def test_webhooks_default_secret_get(self):
        secret = await self.done(self.client.webhooks.default.secret.get())
        self.assertRegex(secret.key, r"^whsec_[A-Za-z0-9+/]+=*$")

    async def test_models_create_get_update_and_delete(self):
        model = await self.model()
        made = await self.done(self.client.models.get(**model))
        self.assertEqual((made.name, made.visibility, made.run_count), (model["model_name"], "private", 0))
        self.assertEqual((made.description, made.latest_version), ("Made by a test", None))
        changed = await self.done(
            self.client.models.update(
                **model,
                description="changed",
                readme="# Read me",
                github_url="https://example.com/code",
                paper_url="https://example.com/paper",
                license_url="https://example.com/license",
                weights_url="https://example.com/weights",
            )
        )
        self.assertEqual((changed.description, changed.github_url), ("changed", "https://example.com/code"))
        self.assertEqual(await self.done(self.client.models.readme.get(**model)), "# Read me")
        await self.done(self.client.models.delete(**model))
        await self.refused(replicate.NotFoundError, lambda: self.client.models.get(**model))

    async def test_models_list_in_order(self):
        names = [each.name for each in await self.items(self.client.models.list())]
        self.assertIn("hello-world", names)
        self.assertNotIn("noop", names)
        oldest = self.client.models.list(sort_by="model_created_at", sort_direction="asc")
        self.assertEqual((await self.items(oldest))[0].name, "hello-world")

    async def test_models_versions_list_and_get(self):
        model = {"model_owner": "local", "model_name": "counter"}
        listed = await self.items(self.client.models.versions.list(**model))
        self.assertEqual([each.id for each in listed], [VERSIONS["counter"]])
        version = await self.done(self.client.models.versions.get(**model, version_id=VERSIONS["counter"]))
        self.assertEqual(version.id, VERSIONS["counter"])
        output = version.openapi_schema["components"]["schemas"]["Output"]
        self.assertEqual(output["x-cog-array-type"], "iterator")

    async def test_models_versions_delete(self):
        model = {"model_owner": "local", "model_name": f"doomed-{type(self).__name__.lower()}"}
        [version] = await self.items(self.client.models.versions.list(**model))
        await self.done(self.client.models.versions.delete(**model, version_id=version.id))
        self.assertEqual(await self.items(self.client.models.versions.list(**model)), [])

    async def test_models_examples_list(self):
        examples = await self.items(
            self.client.models.examples.list(model_owner="local", model_name="counter")
        )
        self.assertEqual([each.output for each in examples], [[0, 1]])

    async def test_models_predictions_create(self):
        prediction = await self.done(
            self.client.models.predictions.create(
                model_owner="local",
                model_name="noop",
                input={"text": "hello"},
                prefer="wait=30",
                cancel_after="5m",
            )
        )
        self.assertEqual((prediction.status, prediction.output), ("succeeded", "hello"))
        self.assertEqual(prediction.version, VERSIONS["noop"])

    async def test_predictions_create_get_and_wait(self):
        created = await self.done(
            self.client.predictions.create(version=VERSIONS["noop"], input={"text": "later"})
        )
        self.assertIn(created.status, ("starting", "processing"))
        ended = await self.done(self.client.predictions.wait(created.id))
        read = await self.done(self.client.predictions.get(prediction_id=created.id))
        self.assertEqual((ended.status, ended.output, ended.error), ("succeeded", "later", None))
        self.assertEqual(read, ended)
        self.assertLessEqual(read.created_at, read.started_at)
        self.assertLessEqual(read.started_at, read.completed_at)
        self.assertGreater(read.metrics.predict_time, 0)
        self.assertEqual((read.source, read.data_removed), ("api", False))

    async def test_predictions_cancel(self):
        created = await self.done(
            self.client.predictions.create(version="local/sleeper", input={"seconds": 60})
        )
        canceled = await self.done(self.client.predictions.cancel(prediction_id=created.id))
        self.assertEqual(canceled.status, "canceled")
        again = await self.done(self.client.predictions.wait(created.id))
        self.assertEqual(again.completed_at, canceled.completed_at)

    async def test_predictions_list_by_the_page_each_once(self):
        for _ in range(105):
            last = await self.done(self.client.predictions.create(version="local/noop", input={}))
        first = await self.done(self.client.predictions.list())
        listed = [each.id for each in await self.items(self.client.predictions.list())]
        self.assertEqual((len(first.results), first.results[0].id), (100, last.id))
        self.assertTrue(first.has_next_page())
        self.assertEqual(len(listed), len(set(listed)))
        self.assertGreater(len(listed), 104)
        since = self.client.predictions.list(created_after=last.created_at - timedelta(milliseconds=1))
        self.assertIn(last.id, [each.id for each in await self.items(since)])
        before = self.client.predictions.list(created_before=last.created_at)
        self.assertNotIn(last.id, [each.id for each in await self.items(before)])

    async def test_files_create_get_list_download_and_delete(self):
        file = await self.done(
            self.client.files.create(
                content=b"abc",
                filename="zażółć.txt",
                type="text/plain",
                metadata={"origin": "test", "nested": {"a": "1"}, "list": ["x", "y"]},
            )
        )
        self.assertEqual((file.size, file.content_type, file.name), (3, "text/plain", "zażółć.txt"))
        self.assertEqual(file.metadata, {"origin": "test", "nested": {"a": "1"}, "list": ["x", "y"]})
        self.assertEqual(
            file.checksums.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
        read = await self.done(self.client.files.get(file_id=file.id))
        self.assertEqual(read.to_dict(), file.to_dict())
        self.assertIn(file.id, [each.id for each in await self.items(self.client.files.list())])
        signed = replicate._base_client.httpx.URL(file.urls.get).params
        downloaded = await self.done(
            self.client.files.download(
                file_id=file.id,
                owner=signed["owner"],
                expiry=int(signed["expiry"]),
                signature=signed["signature"],
            )
        )
        self.assertEqual(await self.done(downloaded.read()), b"abc")
        await self.done(self.client.files.delete(file_id=file.id))
        await self.refused(replicate.NotFoundError, lambda: self.client.files.get(file_id=file.id))

    async def test_files_create_from_a_path_and_a_handle(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.txt"
            path.write_bytes(b"abc")
            from_path = await self.done(self.client.files.create(content=path))
            self.assertEqual((from_path.size, from_path.name), (3, "a.txt"))
            with path.open("rb") as handle:
                from_handle = await self.done(self.client.files.create(content=handle))
        self.assertEqual((from_handle.size, from_handle.name), (3, "a.txt"))
        in_memory = await self.done(self.client.files.create(content=("b.txt", io.BytesIO(b"abc"), "text/plain")))
        self.assertEqual((in_memory.name, in_memory.content_type), ("b.txt", "text/plain"))

    async def test_run(self):
        self.assertEqual(await self.done(self.client.run("local/noop", input={"text": "hello"})), "hello")
        one = f"local/noop:{VERSIONS['noop']}"
        self.assertEqual(await self.done(self.client.run(one, input={"text": "hello"})), "hello")
        counted = await self.done(self.client.run("local/counter", input={"n": 3, "delay": 0}))
        self.assertEqual(counted, [0, 1, 2])

    async def test_run_polls_where_it_does_not_wait_or_the_wait_was_too_short(self):
        polled = self.client.run("local/noop", wait=False, input={"text": "polled"})
        self.assertEqual(await self.done(polled), "polled")
        short = self.client.run("local/sleeper", wait=1, input={"seconds": 1.5})
        self.assertEqual(await self.done(short), "slept 1.5 s")

    async def test_run_with_a_file_as_path_handle_and_bytes_in_memory(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.txt"
            path.write_bytes(b"abc")
            with path.open("rb") as handle:
                for file in (path, handle, io.BytesIO(b"abc")):
                    size = self.client.run("local/file-size", input={"file": file})
                    self.assertEqual(await self.done(size), "3 616263")
            embedded = self.client.run(
                "local/file-size", file_encoding_strategy="base64", input={"file": path}
            )
            self.assertEqual(await self.done(embedded), "3 616263")

    async def test_run_raises_what_the_model_raised(self):
        error = await self.refused(
            ModelError, lambda: self.client.run("local/raises", input={"message": "out of cheese"})
        )
        self.assertIn("out of cheese", str(error))
        self.assertIn("about to raise", error.prediction.logs)

    async def test_errors_have_their_own_kinds(self):
        stranger = type(self.client)(bearer_token="r8_wrong", max_retries=0)
        missing = await self.refused(
            replicate.NotFoundError, lambda: self.client.predictions.get(prediction_id="a" * 26)
        )
        self.assertIn("There is no prediction", missing.body["detail"])
        await self.refused(replicate.AuthenticationError, lambda: stranger.account.get())
        invalid = await self.refused(
            replicate.UnprocessableEntityError,
            lambda: self.client.predictions.create(
                version="local/kitchen-sink", input={"required": "x", "count": 11}
            ),
        )
        self.assertEqual(invalid.body["detail"], "- input.count: Must be less than or equal to 10")
        await self.refused(
            replicate.ConflictError,
            lambda: self.client.models.create(
                owner="local", name="noop", visibility="private", hardware="cpu"
            ),
        )
        await self.refused(
            replicate.PermissionDeniedError,
            lambda: self.client.models.delete(model_owner="local", model_name="hello-world"),
        )

    async def test_use(self):
        # By the module, as its readme has it: the method of a client raises a TypeError of its own.
        self.assertEqual(await self.done(self.use("local/noop")(text="hello")), "hello")
        counted = self.use(f"local/counter:{VERSIONS['counter']}")
        run = await self.done(counted.create(n=3, delay=0))
        self.assertEqual(await self.done(run.output()), [0, 1, 2])
        self.assertIn("counting 2", await self.done(run.logs()))
        self.assertEqual(await self.done(self.use("local/stream")(prompt="a b", delay=0)), "a b")

    async def test_use_with_streaming(self):
        # The client polls, and shows what has come since.
        counter = self.use("local/counter", streaming=True)
        self.assertEqual(await self.items(await self.done(counter(n=12, delay=0.1))), list(range(12)))

    async def test_stream(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            events = self.client.stream("local/counter", input={"n": 3, "delay": 0.05})
            events = await self.done(events)
            # The async client gives a coroutine where it says that it gives an iterator.
            events = await events if inspect.iscoroutine(events) else events
            self.assertEqual(await self.items(events), [0, 1, 2])

    def use(self, ref, **options):
        return replicate.use(ref, use_async=isinstance(self, Async), **options)


class Async(Sync):
    def setUp(self):
        self.client = replicate.AsyncReplicate(max_retries=0)

    async def done(self, call):
        return await call

    async def items(self, call):
        return [item async for item in call]
