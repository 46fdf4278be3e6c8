import time
from typing import Generator

import bentoml


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Noop:
    @bentoml.api(route="/noop")
    def noop(self, text: str) -> dict:
        return {"output": text}

    @bentoml.api(route="/clock")
    def clock(self, lead: float) -> Generator[str, None, None]:
        time.sleep(lead)
        yield f"{time.time() * 1000:.3f}"
