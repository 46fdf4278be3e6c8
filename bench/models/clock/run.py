import time

from cog import BaseRunner, ConcatenateIterator, Input


class Runner(BaseRunner):
    def run(
        self,
        tokens: int = Input(description="How many to yield", default=20, ge=1, le=10000),
        delay: float = Input(description="Seconds between two tokens", default=0.05, ge=0),
        lead: float = Input(description="Seconds before the first token", default=0.1, ge=0),
    ) -> ConcatenateIterator[str]:
        """Each token is the time, in epoch milliseconds, at which it is yielded."""
        time.sleep(lead)
        for _ in range(tokens):
            yield f"{time.time() * 1000:.3f} "
            time.sleep(delay)
