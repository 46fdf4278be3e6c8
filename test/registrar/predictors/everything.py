"""Runs under both lines of Cog: what the old one says of itself is the oracle for what we say of the new one."""

from typing import List, Optional

from cog import BaseModel, BasePredictor, File, Input, Path, Secret


class Part(BaseModel):
    name: str
    weight: float


class Output(BaseModel):
    text: str
    score: float
    found: bool
    note: Optional[str]
    picture: Path
    tags: List[str]
    part: Part
    more: Optional[Path] = None


class Predictor(BasePredictor):
    def predict(
        self,
        required: str,
        plain_default: str = "abc",
        required_with_info: int = Input(description="An integer"),
        text: str = Input(default="hello", description="Some text", min_length=2, max_length=50),
        lower: str = Input(default="abc", regex="^[a-z]+$"),
        count: int = Input(default=3, ge=1, le=10),
        ratio: float = Input(default=0.5, ge=0, le=1.5),
        flag: bool = Input(default=True),
        color: str = Input(default="red", description="A color", choices=["red", "green", "blue"]),
        size: int = Input(default=2, choices=[1, 2, 4]),
        must_choose: str = Input(choices=["a", "b"]),
        image: Path = Input(description="A picture"),
        document: File = Input(description="A document"),
        key: Secret = Input(description="A secret"),
        words: List[str] = Input(default=["a", "b"]),
        numbers: List[int] = Input(description="Numbers"),
        files: List[Path] = Input(description="Files"),
        maybe: Optional[int] = Input(default=None, description="May be left out"),
        maybe_text: Optional[str] = Input(default="x"),
        maybe_image: Optional[Path] = Input(default=None),
        old: str = Input(default="x", deprecated=True),
    ) -> Output:
        raise NotImplementedError
