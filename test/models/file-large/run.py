import os
import tempfile

from cog import BaseRunner, Input, Path


class Runner(BaseRunner):
    def run(self, megabytes: int = Input(default=100, ge=0), text: str = Input(default="")) -> Path:
        """The text, and zeros up to a size."""
        path = os.path.join(tempfile.gettempdir(), "mimeo-file-large.png")
        with open(path, "wb") as file:
            file.write(text.encode())
            if megabytes > 0:
                file.truncate(megabytes * 1024 * 1024)
        return Path(path)
