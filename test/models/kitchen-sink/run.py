from typing import Optional

from cog import BaseModel, BaseRunner, File, Input, Path, Secret


class Output(BaseModel):
    seen: list[str]
    note: Optional[str]
    copy_of_file: Optional[Path]


class Runner(BaseRunner):
    def run(
        self,
        required: str,
        text: str = Input(description="Some text", default="abc", min_length=1, max_length=10, regex="^[a-z]+$"),
        count: int = Input(default=3, ge=1, le=10),
        ratio: float = Input(default=0.5, ge=0, le=1),
        flag: bool = Input(default=False),
        color: str = Input(default="red", choices=["red", "green", "blue"]),
        size: int = Input(default=2, choices=[1, 2, 4]),
        image: Optional[Path] = Input(default=None),
        document: Optional[File] = Input(default=None),
        password: Optional[Secret] = Input(default=None),
        words: list[str] = Input(default=["a", "b"]),
        files: list[Path] = Input(default=[]),
        maybe: Optional[int] = Input(description="May be left out", default=None),
        old: str = Input(default="x", deprecated=True),
    ) -> Output:
        seen = [name for name, value in locals().items() if name != "self" and value is not None]
        print(f"flag={flag} color={color} size={size} password={password}", flush=True)
        return Output(seen=seen, note=old, copy_of_file=image)
