import os
import signal
import time

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import StreamingResponse


@serve.deployment(num_replicas=1, max_ongoing_requests=16, ray_actor_options={"num_cpus": 0})
class Noop:
    async def __call__(self, request: Request):
        body = await request.json()
        if request.url.path.endswith("/clock"):
            return StreamingResponse(clock(body["lead"]), media_type="text/plain")
        return {"output": body["text"]}


def clock(lead):
    time.sleep(lead)
    yield f"{time.time() * 1000:.3f}"


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])}, logging_config={"enable_access_log": False})
    serve.run(Noop.bind(), logging_config={"enable_access_log": False})
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    ray.shutdown()
