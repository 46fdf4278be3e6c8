import time

from cog import BaseRunner


class Runner(BaseRunner):
    def setup(self) -> None:
        print("looking for the weights", flush=True)
        # What is printed in the very moment of a failure is lost in Cog's worker.
        time.sleep(0.2)
        raise RuntimeError("the weights are not where they should be")

    def run(self) -> str:
        return "never"
