import tempfile
from typing import Optional

from cog import BaseModel, BaseRunner, Input, Path


class Output(BaseModel):
    picture: Path
    note: str
    none: Optional[str] = None


class Runner(BaseRunner):
    def run(self, note: str = Input(default="data:text/plain;base64,bm90ZQ==")) -> Output:
        path = Path(tempfile.mkdtemp()) / "picture.png"
        path.write_bytes(b"\x89PNG")
        return Output(picture=path, note=note)
