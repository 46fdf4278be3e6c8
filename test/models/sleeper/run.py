import time

from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, seconds: float = Input(default=1, ge=0)) -> str:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            print(f"{left:.1f} s left", flush=True)
            time.sleep(min(0.1, left))
        return f"slept {seconds:g} s"
