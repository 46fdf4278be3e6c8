from cog import BaseRunner
from opentelemetry import trace


class Runner(BaseRunner):
    def run(self, text: str) -> str:
        with trace.get_tracer("model").start_as_current_span("of the model"):
            return text
