from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, megabytes: int = Input(default=1, ge=0, le=1000)) -> str:
        print(f"putting out {megabytes} MB", flush=True)
        return "x" * (megabytes * 1024 * 1024)
