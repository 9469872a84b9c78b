"""The report of a run: one self-contained page."""

from nucleate.report.page import build_report

__all__ = ["build_report"]
