import os
import time

from cog import BaseRunner


class Runner(BaseRunner):
    def setup(self) -> None:
        seconds = float(os.environ.get("SETUP_SECONDS", "3"))
        print(f"setting up for {seconds} s", flush=True)
        time.sleep(seconds)

    def run(self) -> str:
        return "ready at last"
