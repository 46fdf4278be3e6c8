from cog import BaseRunner


class Runner(BaseRunner):
    def run(self, pairs: tuple[int, int] = (1, 2)) -> str:
        return str(pairs)
