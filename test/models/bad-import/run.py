import a_package_that_is_not_there
from cog import BaseRunner


class Runner(BaseRunner):
    def run(self, text: str) -> str:
        return a_package_that_is_not_there.shout(text)
