from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, message: str = Input(default="this model always fails")) -> str:
        print("about to raise", flush=True)
        raise ValueError(message)
