import os

from cog import BaseRunner, ConcatenateIterator, Input


class Runner(BaseRunner):
    def run(
        self,
        crash: bool = Input(description="Die without a word", default=True),
        speak_first: bool = Input(description="Yield a token before", default=False),
    ) -> ConcatenateIterator[str]:
        print("about to run", flush=True)
        if speak_first:
            yield "last words "
        if crash:
            os._exit(1)
        yield "alive"
