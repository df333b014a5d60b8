"""Runs unittest cases and prints TAP, one line per test, skip reasons included."""

import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.told = None  # the test of the last line
        self.faults = []  # of its subtests

    def line(self, ok: bool, test: unittest.TestCase, note: str = "") -> None:
        self.number += 1
        self.told = test
        name = f"{type(test).__name__}.{getattr(test, '_testMethodName', test)}"
        print(f"{'ok' if ok else 'not ok'} {self.number} {name}{note}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(True, test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(True, test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.report(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.faults.append(f"{subtest._subDescription()}\n{self._exc_info_to_string(err, test)}")

    def stopTest(self, test):
        if self.faults:
            if self.told is not test:  # nothing else is called where only subtests failed
                self.line(False, test)
            self.explain("\n".join(self.faults))
        self.faults = []
        super().stopTest(test)

    def report(self, test, err) -> None:
        self.line(False, test)
        self.explain(self._exc_info_to_string(err, test))

    @staticmethod
    def explain(fault: str) -> None:
        for text in fault.splitlines():
            print(f"# {text}", flush=True)


def run(*cases) -> None:
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in cases)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
