import time

from cog import BasePredictor, ConcatenateIterator, Input


class Predictor(BasePredictor):
    def setup(self) -> None:
        print("setting up the old line", flush=True)

    def predict(
        self, n: int = Input(default=3, ge=0), delay: float = Input(default=0.05, ge=0)
    ) -> ConcatenateIterator[str]:
        for i in range(n):
            print(f"token {i}", flush=True)
            yield f"t{i} "
            time.sleep(delay)
