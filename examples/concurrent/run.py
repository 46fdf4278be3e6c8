import asyncio

from cog import BaseRunner, BaseModel, Input


class Output(BaseModel):
    answer: str
    together: int


class Runner(BaseRunner):
    """Up to `concurrency.max` predictions run in one instance, each while the others wait for something."""

    async def setup(self) -> None:
        self.running = 0

    async def run(
        self,
        text: str = Input(description="What to answer", default="hello"),
        seconds: float = Input(description="How long the answer takes", default=1, ge=0, le=60),
    ) -> Output:
        self.running += 1
        try:
            together = self.running
            left = seconds
            # As a model would that asks another service: it gives way to the others, and hears of a cancel.
            while left > 0:
                await asyncio.sleep(min(0.05, left))
                left -= 0.05
                together = max(together, self.running)
            return Output(answer=text, together=together)
        finally:
            self.running -= 1
