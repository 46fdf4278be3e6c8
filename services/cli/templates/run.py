from cog import BaseRunner, Input


class Runner(BaseRunner):
    def setup(self) -> None:
        """Runs once, when an instance starts: load weights here."""
        self.greeting = "You said"

    def run(
        self,
        text: str = Input(description="What to say"),
        times: int = Input(description="How many times to say it", default=1, ge=1, le=10),
    ) -> str:
        """Runs for every prediction. Its arguments are the model's inputs."""
        return f"{self.greeting}: " + " ".join([text] * times)
