"""A believable shop that the project generates: its files feed the first night and the tests."""

from jobs.sample.shop import TRUTH, Summary, generate

__all__ = ["TRUTH", "Summary", "generate"]
