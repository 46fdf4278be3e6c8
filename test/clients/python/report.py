"""Runs the checks of a file and prints a line of JSON for each as it ends; then, where the file has an `inventory`, that.

    python report.py FILE
"""

import importlib.util
import json
import sys
import time
import unittest


class Report(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.started_at = time.monotonic()

    def addSuccess(self, test):
        self.tell(test, None)

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, self.failures[-1][1])

    def tell(self, test, problem):
        name = getattr(test, "_testMethodName", str(test))
        seconds = time.monotonic() - getattr(self, "started_at", time.monotonic())
        suite = type(test).__name__
        line = {"name": name, "suite": suite, "problem": problem, "seconds": round(seconds, 3)}
        print(json.dumps(line), flush=True)


def main():
    spec = importlib.util.spec_from_file_location("checks", sys.argv[1])
    checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checks)
    unittest.defaultTestLoader.loadTestsFromModule(checks).run(Report())
    if hasattr(checks, "inventory"):
        print(json.dumps({"inventory": checks.inventory()}), flush=True)


main()
