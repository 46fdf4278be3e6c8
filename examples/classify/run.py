import math
import re
from collections import Counter

from cog import BaseModel, BaseRunner, Input

# What the classifier learns from, when an instance starts. Enough to show how; real training data goes here.
EXAMPLES = {
    "billing": [
        "I was charged twice this month",
        "please refund my last invoice",
        "where can I change my credit card",
        "the price on my bill is wrong",
    ],
    "bug": [
        "the app crashes when I open it",
        "I get an error message after the update",
        "the page does not load and shows a stack trace",
        "the button is broken and nothing happens",
    ],
    "praise": [
        "I love this product, thank you",
        "great work, it is fast and easy to use",
        "the best support I ever had",
        "this is wonderful, it made my day",
    ],
}


class Score(BaseModel):
    label: str
    probability: float


class Output(BaseModel):
    label: str
    probability: float
    scores: list[Score]
    known_words: list[str]


class Runner(BaseRunner):
    """Naive Bayes over words, with add-one smoothing."""

    def setup(self) -> None:
        self.counts = {label: Counter(words(" ".join(texts))) for label, texts in EXAMPLES.items()}
        self.vocabulary = {word for counts in self.counts.values() for word in counts}
        print(f"learned {len(self.vocabulary)} words for {len(EXAMPLES)} labels", flush=True)

    def run(self, text: str = Input(description="A message of a customer", min_length=1)) -> Output:
        known = [word for word in words(text) if word in self.vocabulary]
        logs = {label: sum(self.log_probability(label, word) for word in known) for label in self.counts}
        highest = max(logs.values())
        weights = {label: math.exp(log - highest) for label, log in logs.items()}
        total = sum(weights.values())
        scores = sorted(
            (Score(label=label, probability=round(weight / total, 4)) for label, weight in weights.items()),
            key=lambda score: -score.probability,
        )
        best = scores[0]
        return Output(label=best.label, probability=best.probability, scores=scores, known_words=known)

    def log_probability(self, label: str, word: str) -> float:
        counts = self.counts[label]
        return math.log((counts[word] + 1) / (counts.total() + len(self.vocabulary)))


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
