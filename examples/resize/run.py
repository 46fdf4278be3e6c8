import tempfile

from cog import BaseRunner, Input, Path
from PIL import Image, ImageOps


class Runner(BaseRunner):
    def run(
        self,
        image: Path = Input(description="A picture in any usual format"),
        width: int = Input(description="Most pixels across", default=256, ge=1, le=4096),
        height: int = Input(description="Most pixels down", default=256, ge=1, le=4096),
        format: str = Input(description="Of the result", default="png", choices=["png", "jpeg", "webp"]),
    ) -> Path:
        # A phone's picture says in its EXIF data which side is up.
        picture = ImageOps.exif_transpose(Image.open(image))
        before = picture.size
        # Keeps the proportions, and makes nothing larger.
        picture.thumbnail((width, height), Image.Resampling.LANCZOS)
        print(f"{before[0]}x{before[1]} -> {picture.width}x{picture.height}", flush=True)
        if format == "jpeg":
            picture = picture.convert("RGB")
        path = Path(tempfile.mkdtemp()) / f"resized.{format}"
        picture.save(path)
        return path
