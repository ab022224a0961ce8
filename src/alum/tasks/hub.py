"""Loading of published data sets from the Hugging Face hub, by split."""

from collections.abc import Iterable
from typing import Any

from datasets import load_dataset

from alum.core.errors import InputError
from alum.data.table import Table
from alum.tasks.sources import Source

CONVERTED = "refs/convert/parquet"  # the hub's own conversion of a data set


def load_split(source: Source, split: str, instead: str) -> Table:
    """Loads a split of a data set; raises `InputError`, with what to do ``instead``, where the hub does not give it."""
    where = f"{source.on_hub}, {split}"
    try:
        return Table.of(load_dataset(source.hub_id, split=split, **_files(source, [split])), where)
    except Exception as error:  # the hub's client raises whatever its transport does
        raise _not_loaded(where, error, instead) from None


def load_splits(source: Source, splits: Iterable[str], instead: str) -> dict[str, Table]:
    """Loads a data set's splits by name; raises as `load_split`.

    A data set that the hub has converted is asked for each of ``splits``, any other gives all that it has.
    """
    try:
        found = dict(load_dataset(source.hub_id, **_files(source, splits)))
    except Exception as error:  # the hub's client raises whatever its transport does
        raise _not_loaded(source.on_hub, error, instead) from None
    return {split: Table.of(rows, f"{source.on_hub}, {split}") for split, rows in found.items()}


def _files(source: Source, splits: Iterable[str]) -> dict[str, Any]:
    if source.converted is None:
        return {"name": source.hub_config}
    files = {split: f"{source.converted}/{split}/*.parquet" for split in splits}
    return {"revision": CONVERTED, "data_files": files}


def _not_loaded(where: str, error: Exception, instead: str) -> InputError:
    reason = (str(error) or repr(error)).splitlines()[0].removesuffix(".")
    return InputError(f"{where} cannot be loaded from the hub ({reason}). {instead}")
