import copy
import json
import typing

import jsonschema
import pytest

from alum.reports.evaluation import record as evaluation_record
from alum.reports.evaluation.record import EvaluationRecord
from evaluation_results import evaluation_results
from places import ROOT

SCHEMA = json.loads((ROOT / "docs/results.schema.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
TYPES = {
    name: found
    for name, found in vars(evaluation_record).items()
    if typing.is_typeddict(found) and found is not EvaluationRecord
}


def record_name(definition):
    return "".join(part.title() for part in definition.split("_")) + "Record"


def allowed(hint):
    """The JSON types and constants of a hint, as a schema names them."""
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    if members := [part for part in typing.get_args(hint) if typing.get_origin(hint) not in (list, dict)]:
        return set().union(*map(allowed, members))
    names = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null", list: "array"}
    return {names.get(typing.get_origin(hint) or hint, "object")}


def described(schema):
    if "const" in schema:
        return {schema["const"]}
    if "enum" in schema:
        return set(schema["enum"])
    return {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_an_example_record_is_valid_also_after_json():
    VALIDATOR.validate(json.loads(json.dumps(evaluation_results(), allow_nan=False)))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema_version",), 2),
        (("scores", 0, "value"), "0.5"),
        (("scores", 0, "note"), "a field that nobody knows"),
        (("comparisons", 0, "test"), "t-test"),
        (("comparisons", 0, "p_value"), 1.5),
        (("examples", 0, "outcome"), "skipped"),
        (("examples", 0, "before_probabilities"), {"positive": 50}),
        (("attacks", 0, "family"), "word"),
    ],
)
def test_what_is_not_valid_is_refused(place, value):
    results = copy.deepcopy(evaluation_results())
    entry = results
    for step in place[:-1]:
        entry = entry[step]
    entry[place[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(results)


def test_every_field_is_required():
    results = {name: [] if isinstance(value, list) else value for name, value in evaluation_results().items()}
    VALIDATOR.validate(results)
    for name in results:
        with pytest.raises(jsonschema.ValidationError, match=name):
            VALIDATOR.validate({key: value for key, value in results.items() if key != name})


@pytest.mark.parametrize(
    ("schema", "record"),
    [
        pytest.param(SCHEMA, EvaluationRecord, id="results"),
        *(pytest.param(schema, TYPES.get(record_name(name)), id=name) for name, schema in SCHEMA["$defs"].items()),
    ],
)
def test_schema_and_types_have_the_same_fields_of_the_same_types(schema, record):
    hints = typing.get_type_hints(record)
    assert set(schema["required"]) == set(schema["properties"]) == set(hints)
    assert {name: described(found) for name, found in schema["properties"].items()} == {
        name: allowed(hint) for name, hint in hints.items()
    }
    assert not schema["additionalProperties"]


def test_each_type_has_its_definition():
    assert set(TYPES) == set(map(record_name, SCHEMA["$defs"]))


def test_every_field_is_described_and_stands_in_the_page():
    for schema in (SCHEMA, *SCHEMA["$defs"].values()):
        for name, found in schema["properties"].items():
            assert found["description"].strip()
            assert f"`{name}`" in PAGE
