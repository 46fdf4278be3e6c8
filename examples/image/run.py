import colorsys
import math
import random
import tempfile
import textwrap

from cog import BaseRunner, Input, Path
from PIL import Image, ImageDraw, ImageFont


class Runner(BaseRunner):
    def run(
        self,
        prompt: str = Input(description="What to write, and to draw shapes for", default="a quiet morning"),
        width: int = Input(description="Pixels", default=512, ge=64, le=2048),
        height: int = Input(description="Pixels", default=512, ge=64, le=2048),
        shapes: int = Input(description="How many", default=24, ge=0, le=500),
        seed: int = Input(description="Another picture for the same prompt", default=0),
    ) -> Path:
        chance = random.Random(f"{seed}:{prompt}")
        hue = chance.random()
        image = Image.new("RGB", (width, height), color(hue, 0.2, 0.97))
        draw = ImageDraw.Draw(image, "RGBA")
        for _ in range(shapes):
            center = chance.uniform(0, width), chance.uniform(0, height)
            radius = chance.uniform(0.03, 0.2) * min(width, height)
            fill = (*color(hue + chance.gauss(0.5, 0.15), 0.6, 0.8), 110)
            if chance.random() < 0.5:
                draw.circle(center, radius, fill=fill)
            else:
                draw.polygon(triangle(center, radius, chance.uniform(0, math.tau)), fill=fill)
        write(draw, prompt, width)
        print(f"drew {shapes} shapes on {width}x{height}", flush=True)
        path = Path(tempfile.mkdtemp()) / "image.png"
        image.save(path)
        return path


def color(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def triangle(center: tuple[float, float], radius: float, turn: float) -> list[tuple[float, float]]:
    angles = [turn + math.tau * corner / 3 for corner in range(3)]
    return [(center[0] + radius * math.cos(a), center[1] + radius * math.sin(a)) for a in angles]


def write(draw: ImageDraw.ImageDraw, text: str, width: int) -> None:
    size = max(12, width // 18)
    lines = textwrap.wrap(text, width=max(8, int(width / (size * 0.6))))[:4]
    draw.multiline_text((size, size), "\n".join(lines), fill=(20, 20, 20), font=ImageFont.load_default(size))
