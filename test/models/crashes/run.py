import os
import time

from cog import BaseRunner, ConcatenateIterator, Input


class Runner(BaseRunner):
    def run(
        self,
        crash: bool = Input(description="Die without a word", default=True),
        speak_first: bool = Input(description="Yield a token before", default=False),
        pause: float = Input(description="Seconds between the two", default=0, ge=0),
    ) -> ConcatenateIterator[str]:
        print("about to run", flush=True)
        if speak_first:
            yield "last words "
        time.sleep(pause)
        if crash:
            os._exit(1)
        yield "alive"
