import tempfile
import time
from typing import Iterator

from cog import BaseRunner, Input, Path


class Runner(BaseRunner):
    def run(self, n: int = Input(default=3), delay: float = Input(default=0.2)) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp())
        for i in range(n):
            path = folder / f"{i}.txt"
            path.write_text(f"file {i}")
            yield path
            time.sleep(delay)
