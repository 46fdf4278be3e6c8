from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, megabytes: int = Input(default=8, ge=0, le=100)) -> str:
        print("first line", flush=True)
        for number in range(megabytes * 1024):
            print(f"{number:07d} ".ljust(1023, "."))
        print("last line", flush=True)
        return f"printed {megabytes} MB"
