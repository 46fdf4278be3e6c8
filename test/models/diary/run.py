import time

from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(
        self,
        file: str = Input(description="Where to leave a trace of having run"),
        line: str = Input(default="ran"),
        seconds: float = Input(default=0, ge=0),
    ) -> str:
        with open(file, "a") as diary:
            diary.write(f"{line}\n")
        time.sleep(seconds)
        return line
