"""Predictions, models, versions, hardware and the account, by the client as it is."""

import json
import os
import unittest

import replicate
from inventory import inventory  # noqa: F401: the report asks for it
from replicate.exceptions import ReplicateError

VERSIONS = json.loads(os.environ["VERSIONS"])


class Predictions(unittest.TestCase):
    def test_prediction_is_created_reloaded_and_waited_for(self):
        prediction = replicate.predictions.create(version=VERSIONS["noop"], input={"text": "a"})
        self.assertEqual(prediction.status, "starting")
        prediction.wait()
        self.assertEqual((prediction.status, prediction.output, prediction.error), ("succeeded", "a", None))
        self.assertGreater(prediction.metrics["predict_time"], 0)
        self.assertLessEqual(prediction.created_at, prediction.started_at)
        self.assertLessEqual(prediction.started_at, prediction.completed_at)
        read = replicate.predictions.get(prediction.id)
        self.assertEqual(read.dict(), prediction.dict())

    def test_prediction_shows_its_logs_while_it_runs(self):
        prediction = replicate.predictions.create(model="local/sleeper", input={"seconds": 3})
        while not (prediction.logs and prediction.status == "processing"):
            self.assertIn(prediction.status, ("starting", "processing"))
            prediction.reload()
        self.assertIn("s left", prediction.logs)
        prediction.wait()
        self.assertEqual(prediction.output, "slept 3 s")

    def test_prediction_is_canceled(self):
        prediction = replicate.predictions.create(model="local/sleeper", input={"seconds": 60})
        prediction.cancel()
        self.assertEqual(prediction.status, "canceled")
        self.assertIsNotNone(prediction.completed_at)
        prediction.cancel()
        self.assertEqual(replicate.predictions.cancel(prediction.id).status, "canceled")

    def test_prediction_of_a_version_object(self):
        version = replicate.models.get("local/noop").latest_version
        prediction = replicate.predictions.create(version=version, input={"text": "v"}, wait=True)
        self.assertEqual(prediction.output, "v")

    def test_predictions_are_listed_by_the_page_each_once(self):
        made = {replicate.predictions.create(model="local/noop", input={}).id for _ in range(110)}
        pages = list(replicate.paginate(replicate.predictions.list))
        listed = [prediction.id for page in pages for prediction in page]
        self.assertEqual(len(pages[0]), 100)
        self.assertEqual(len(listed), len(set(listed)))
        self.assertLessEqual(made, set(listed))

    def test_prediction_that_is_not_there(self):
        with self.assertRaises(ReplicateError) as raised:
            replicate.predictions.get("a" * 26)
        self.assertEqual((raised.exception.status, raised.exception.title), (404, "Not found"))
        self.assertIn("There is no prediction", raised.exception.detail)


class Catalogue(unittest.TestCase):
    def test_model_is_created_and_read(self):
        created = replicate.models.create(
            owner="local",
            name="made-by-python",
            visibility="public",
            hardware="gpu-t4",
            description="Made by a test",
        )
        self.assertEqual(created.id, "local/made-by-python")
        read = replicate.models.get("local/made-by-python")
        self.assertEqual((read.description, read.run_count, read.latest_version), ("Made by a test", 0, None))

    def test_model_that_exists_is_refused(self):
        with self.assertRaises(ReplicateError) as raised:
            replicate.models.create(owner="local", name="noop", visibility="private", hardware="cpu")
        self.assertEqual(raised.exception.status, 409)

    def test_models_are_listed_by_the_page(self):
        names = [model.name for page in replicate.paginate(replicate.models.list) for model in page]
        self.assertIn("hello-world", names)
        self.assertNotIn("noop", names)

    def test_versions_are_listed_and_read(self):
        model = replicate.models.get("local/counter")
        self.assertEqual([version.id for version in model.versions.list()], [VERSIONS["counter"]])
        version = model.versions.get(VERSIONS["counter"])
        self.assertEqual(version.id, model.latest_version.id)
        schema = version.openapi_schema["components"]["schemas"]
        self.assertEqual(schema["Output"]["x-cog-array-type"], "iterator")
        self.assertEqual(schema["Input"]["properties"]["n"]["maximum"], 100000)

    def test_version_is_deleted(self):
        model = replicate.models.get("local/doomed")
        model.versions.delete(VERSIONS["noop"])
        model.reload()
        self.assertIsNone(model.latest_version)
        self.assertEqual(list(model.versions.list()), [])
        self.assertEqual(replicate.run("local/noop", input={"text": "still here"}), "still here")

    def test_public_version_is_not_deleted(self):
        model = replicate.models.get("local/hello-world")
        with self.assertRaises(ReplicateError) as raised:
            model.versions.delete(model.latest_version.id)
        self.assertEqual((raised.exception.status, raised.exception.title), (403, "Forbidden"))

    def test_default_example_is_read(self):
        prediction = replicate.models.predictions.create("local/counter", input={"n": 2, "delay": 0})
        prediction.wait()
        client = replicate.Client()
        client._request("POST", "/v1/models/local/counter/examples", json={"prediction": prediction.id})
        example = replicate.models.get("local/counter").default_example
        self.assertEqual((example.id, example.output), (prediction.id, [0, 1]))

    def test_hardware_is_listed(self):
        skus = [hardware.sku for hardware in replicate.hardware.list()]
        self.assertIn("cpu", skus)
        self.assertIn("gpu-t4", skus)

    def test_account_is_known(self):
        account = replicate.Client().accounts.current()
        self.assertEqual((account.type, account.username), ("user", "local"))

    def test_wrong_token_is_refused(self):
        with self.assertRaises(ReplicateError) as raised:
            replicate.Client(api_token="r8_wrong").accounts.current()
        self.assertEqual((raised.exception.status, raised.exception.title), (401, "Unauthenticated"))
