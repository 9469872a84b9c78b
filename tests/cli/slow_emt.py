"""A calculator that takes its time, so that a signal meets a run at work."""

import time

from ase.calculators.emt import EMT


class SlowEMT(EMT):
    def calculate(self, *arguments, **options):
        time.sleep(0.1)
        super().calculate(*arguments, **options)
