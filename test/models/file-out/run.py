from cog import BaseRunner, Input, Path


class Runner(BaseRunner):
    def run(self, text: str = Input(default="file"), name: str = Input(default="out.txt")) -> Path:
        path = Path("/tmp") / name
        path.write_text(text)
        return path
