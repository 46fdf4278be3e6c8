from pathlib import Path

import wordllama
from cog import BaseModel, BaseRunner, Input


class Output(BaseModel):
    embeddings: list[list[float]]
    dimensions: int
    similarities: list[list[float]]


class Runner(BaseRunner):
    """WordLlama: token embeddings taken out of Llama models, averaged. Its 16 MB of weights are in the package."""

    def setup(self) -> None:
        # It looks for its tokenizer in a cache folder: the package's own has the same layout.
        package = Path(wordllama.__file__).parent
        self.model = wordllama.WordLlama.load(cache_dir=package, disable_download=True)
        print(f"loaded {self.model.embedding.shape[0]} token embeddings", flush=True)

    def run(
        self,
        texts: list[str] = Input(description="At most 100 texts"),
        dimensions: int = Input(description="The first ones are worth the most", default=256, choices=[64, 128, 256]),
    ) -> Output:
        if not 1 <= len(texts) <= 100:
            raise ValueError(f"texts: takes 1 to 100 texts, not {len(texts)}")
        whole = self.model.embed(texts)[:, :dimensions]
        vectors = whole / (whole**2).sum(axis=1, keepdims=True).clip(min=1e-12) ** 0.5
        return Output(
            embeddings=vectors.round(6).tolist(),
            dimensions=dimensions,
            similarities=(vectors @ vectors.T).round(4).tolist(),
        )
