import time

from cog import BaseRunner, ConcatenateIterator, Input


class Runner(BaseRunner):
    def run(
        self,
        prompt: str = Input(description="Text to say word by word", default="A model that speaks as it thinks."),
        delay: float = Input(description="Seconds between two words", default=0.05, ge=0, le=10),
    ) -> ConcatenateIterator[str]:
        words = prompt.split()
        print(f"saying {len(words)} words", flush=True)
        for index, word in enumerate(words):
            if index:
                time.sleep(delay)
            yield word if index == 0 else f" {word}"
