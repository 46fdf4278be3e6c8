from cog import BaseRunner, Path


class Runner(BaseRunner):
    def run(self, file: Path) -> str:
        data = file.read_bytes()
        return f"{len(data)} {data[:8].hex()}"
