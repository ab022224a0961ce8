"""Kinds of task, one module each: classification, regression, multiple choice, answers, language modelling."""
