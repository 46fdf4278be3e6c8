import hashlib

from cog import BaseRunner, Input, Secret


class Runner(BaseRunner):
    def run(
        self,
        key: Secret = Input(description="Used, and never shown"),
        fail: bool = Input(default=False),
    ) -> str:
        print(f"got the key {key}", flush=True)
        if fail:
            raise ValueError(f"the key {key} opens nothing")
        # That the model itself got the true value.
        return hashlib.sha256(key.get_secret_value().encode()).hexdigest()
