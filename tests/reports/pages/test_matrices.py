import pytest

from alum.reports.pages.matrices import Entry, Heading, matrices


def lines_of(num_lines, num_models):
    return [
        (Heading(f"line {line}"), [Entry(f"{line}.{model}") for model in range(num_models)])
        for line in range(num_lines)
    ]


@pytest.mark.parametrize("num_models", [1, 4])
def test_a_few_models_are_columns(num_models):
    models = [Heading(f"model {number}", rank=num_models - number) for number in range(num_models)]
    (table,) = matrices("under", models, lines_of(20, num_models))
    assert (table.corner, table.columns, len(table.rows)) == ("under", models, 20)
    name, cells = table.rows[7]
    assert name.name == "line 7"
    assert [cell.value for cell in cells] == [f"7.{number}" for number in range(num_models)]


def test_many_models_are_rows_by_rank_in_tables_of_six_lines():
    ranks = [3, 1, 5, 2, 4]
    models = [Heading(f"model {number}", rank=rank) for number, rank in enumerate(ranks)]
    tables = matrices("under", models, lines_of(8, 5))
    assert [[column.name for column in table.columns] for table in tables] == [
        [f"line {number}" for number in range(6)],
        ["line 6", "line 7"],
    ]
    for table in tables:
        assert [name.name for name, _ in table.rows] == ["model 1", "model 3", "model 0", "model 4", "model 2"]
    assert [[cell.value for cell in cells] for _, cells in tables[1].rows] == [
        [f"6.{number}", f"7.{number}"] for number in (1, 3, 0, 4, 2)
    ]


def test_many_models_without_ranks_keep_their_order():
    models = [Heading(name) for name in "edcba"]
    (table,) = matrices("group", models, lines_of(2, 5))
    assert [name.name for name, _ in table.rows] == list("edcba")
