import tempfile

from cog import BaseRunner, Input, Path


class Runner(BaseRunner):
    def run(self, n: int = Input(default=3)) -> list[Path]:
        folder = Path(tempfile.mkdtemp())
        for i in range(n):
            (folder / f"{i}.txt").write_text(f"file {i}")
        return [folder / f"{i}.txt" for i in range(n)]
