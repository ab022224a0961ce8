"""How many characters lie between two words."""


def levenshtein(first: str, second: str) -> int:
    """The least number of characters to insert, delete or substitute (Levenshtein 1966).

    >>> levenshtein("sunday", "saturday")
    3
    """
    row = list(range(len(second) + 1))
    for i, mine in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mine != other))
    return row[-1]
