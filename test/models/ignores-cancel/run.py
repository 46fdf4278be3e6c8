import time

from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, seconds: float = Input(default=60, ge=0)) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                print("still here", flush=True)
                time.sleep(0.1)
            except BaseException:
                print("not listening", flush=True)
        return "done anyway"
