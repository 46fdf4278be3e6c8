import time
from typing import Iterator

from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(
        self, n: int = Input(default=3, ge=0, le=100000), delay: float = Input(default=0.01, ge=0)
    ) -> Iterator[int]:
        for i in range(n):
            print(f"counting {i}", flush=True)
            yield i
            time.sleep(delay)
