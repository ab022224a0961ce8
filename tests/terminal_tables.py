"""What stands in the tables that a command prints."""

import re


def table_cells(text):
    """Lines of all tables, headers first, as lists of what stands in their columns, which the rule of dashes shows."""
    found, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        if not re.fullmatch(r"-+(  -+)*", line):
            continue
        spans = [match.span() for match in re.finditer("-+", line)]
        end = next((place for place in range(number, len(lines)) if not lines[place]), len(lines))
        for row in (lines[number - 1], *lines[number + 1 : end]):
            found.append([row[first:last].strip() for first, last in spans])
    return found
