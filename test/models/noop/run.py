from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, text: str = Input(default="")) -> str:
        return text
