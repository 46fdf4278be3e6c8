"""replicate.run, async_run, stream and their exceptions, by the client as it is."""

import asyncio
import json
import os
import unittest

import replicate
from inventory import inventory  # noqa: F401: the report asks for it
from replicate.exceptions import ModelError, ReplicateError

VERSIONS = json.loads(os.environ["VERSIONS"])


def ref(name):
    return f"local/{name}:{VERSIONS[name]}"


class Run(unittest.TestCase):
    def test_run_by_name(self):
        self.assertEqual(replicate.run("local/noop", input={"text": "hello"}), "hello")

    def test_run_one_version(self):
        self.assertEqual(replicate.run(ref("noop"), input={"text": "hello"}), "hello")

    def test_run_by_polling(self):
        self.assertEqual(replicate.run("local/noop", input={"text": "polled"}, wait=False), "polled")

    def test_run_polls_on_where_the_wait_was_too_short(self):
        self.assertEqual(replicate.run("local/sleeper", input={"seconds": 1.5}, wait=1), "slept 1.5 s")

    def test_run_gives_an_iterators_elements(self):
        self.assertEqual(list(replicate.run(ref("counter"), input={"n": 4, "delay": 0})), [0, 1, 2, 3])
        self.assertEqual(replicate.run("local/counter", input={"n": 4, "delay": 0}), [0, 1, 2, 3])

    def test_run_gives_an_iterators_elements_while_it_polls(self):
        output = replicate.run(ref("counter"), input={"n": 12, "delay": 0.1}, wait=False)
        self.assertEqual(list(output), list(range(12)))

    def test_run_leaves_unicode_as_it_is(self):
        self.assertEqual(replicate.run("local/noop", input={"text": 'zażółć 🦆\n"\\'}), 'zażółć 🦆\n"\\')

    def test_run_without_input(self):
        self.assertEqual(replicate.run("local/noop"), "")

    def test_run_raises_model_error_with_its_prediction(self):
        with self.assertRaises(ModelError) as raised:
            replicate.run("local/raises", input={"message": "out of cheese"})
        prediction = raised.exception.prediction
        self.assertIn("out of cheese", str(raised.exception))
        self.assertEqual(prediction.status, "failed")
        self.assertIn("about to raise", prediction.logs)

    def test_run_with_bad_input_raises_replicate_error(self):
        with self.assertRaises(ReplicateError) as raised:
            replicate.run("local/kitchen-sink", input={"required": "x", "count": 11})
        self.assertEqual(raised.exception.status, 422)
        self.assertEqual(raised.exception.title, "Input validation failed")
        self.assertEqual(raised.exception.detail, "- input.count: Must be less than or equal to 10")

    def test_run_of_a_model_that_is_not_there(self):
        with self.assertRaises(ReplicateError) as raised:
            replicate.run("local/nothing", input={})
        self.assertEqual(raised.exception.status, 404)

    def test_stream_gives_each_token_while_the_model_runs(self):
        tokens, status_at_first = [], None
        for event in replicate.stream("local/counter", input={"n": 20, "delay": 0.1}):
            if event.event.value == "output":
                tokens.append(event.data)
                status_at_first = status_at_first or replicate.predictions.list().results[0].status
        self.assertEqual(tokens, [str(index) for index in range(20)])
        self.assertEqual(status_at_first, "processing")

    def test_stream_ends_with_done(self):
        events = list(replicate.stream(ref("counter"), input={"n": 2, "delay": 0}))
        self.assertEqual(events[-1].event.value, "done")
        self.assertEqual("".join(str(event) for event in events), "01")

    def test_stream_raises_what_the_model_raised(self):
        prediction = replicate.predictions.create(
            model="local/crashes", input={"crash": True, "speak_first": True}
        )
        with self.assertRaises(RuntimeError):
            list(prediction.stream())


class AsyncRun(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        # An httpx client belongs to the event loop that it was first used in.
        self.client = replicate.Client()

    async def test_async_run(self):
        self.assertEqual(await self.client.async_run("local/noop", input={"text": "hello"}), "hello")

    async def test_async_run_of_many_at_once(self):
        texts = [str(index) for index in range(20)]
        runs = [self.client.async_run(ref("noop"), input={"text": text}) for text in texts]
        self.assertEqual(await asyncio.gather(*runs), texts)

    async def test_async_run_raises_model_error(self):
        with self.assertRaises(ModelError):
            await self.client.async_run("local/raises", input={})

    async def test_async_stream(self):
        events = await self.client.async_stream("local/counter", input={"n": 3, "delay": 0.05})
        self.assertEqual("".join([str(event) async for event in events]), "012")

    async def test_async_prediction_is_created_waited_for_and_read(self):
        prediction = await self.client.predictions.async_create(ref("noop"), input={"text": "later"})
        await prediction.async_wait()
        self.assertEqual(prediction.output, "later")
        self.assertEqual((await self.client.predictions.async_get(prediction.id)).output, "later")

    async def test_async_cancel(self):
        prediction = await self.client.predictions.async_create(ref("sleeper"), input={"seconds": 60})
        await prediction.async_cancel()
        self.assertEqual(prediction.status, "canceled")
