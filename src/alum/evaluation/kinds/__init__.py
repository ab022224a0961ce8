"""Kinds of task in evaluation, one module each: right answers, what attacks may change, models as their victims."""
