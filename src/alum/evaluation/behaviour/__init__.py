"""Tests of a classifier's behaviour: texts of which is known what the answer should be, or that it should stay."""
