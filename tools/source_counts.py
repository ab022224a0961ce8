"""Countings in parsed source: where a package is against a limit of `house`, which says how each thing is counted."""

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ATTACK_LIMITS = frozenset(
    {
        "attacked_texts",
        "max_changed_words",
        "max_queries",
        "similarity",
        "similarity_model",
        "min_similarity",
        "seed",
    }
)

_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]+")
_TYPE_ALIAS = re.compile(r"[A-Z]\w*[a-z]\w*")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed source file and its path below the folder that it was looked for in."""

    path: PurePosixPath
    text: str
    tree: ast.Module

    def at(self, node: ast.stmt | ast.expr | ast.pattern, what: str) -> str:
        return f"{self.path}:{node.lineno} {what}"

    def nodes(self) -> Iterator[ast.AST]:
        """All nodes in the order of the text."""
        return _in_order(self.tree)

    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes() if isinstance(node, Function))

    def dataclasses(self) -> Iterator[tuple[ast.ClassDef, list[str]]]:
        """Each dataclass with the names of the fields that it declares itself."""
        for node in self.nodes():
            if isinstance(node, ast.ClassDef) and any(_is_dataclass_decorator(one) for one in node.decorator_list):
                yield node, _own_fields(node)


def modules_in(folder: Path, root: Path) -> list[Module]:
    """All Python files below a folder, parsed, in the order of their paths, which begin at ``root``."""
    found = []
    for file in sorted(folder.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        found.append(Module(PurePosixPath(file.relative_to(root).as_posix()), text, ast.parse(text)))
    return found


# -- folders and names -------------------------------------------------------------------------------------------------


def largest_folder(modules: Iterable[Module]) -> tuple[str, int]:
    """Path and size of the folder with most modules directly in it."""
    sizes: dict[str, int] = defaultdict(int)
    for module in modules:
        if module.path.name != "__init__.py":
            sizes[str(module.path.parent)] += 1
    return max(sizes.items(), key=lambda item: item[1], default=("none", 0))


def plural_neighbours(modules: Iterable[Module]) -> list[str]:
    names: dict[PurePosixPath, set[str]] = defaultdict(set)
    for module in modules:
        for path in (module.path.with_suffix(""), *module.path.parents[:-1]):
            names[path.parent].add(path.name)
    return sorted(
        f"{folder / name} beside {name}s" for folder, known in names.items() for name in known if f"{name}s" in known
    )


def same_module_names(modules: Iterable[Module]) -> list[str]:
    paths: dict[tuple[str, str], list[PurePosixPath]] = defaultdict(list)
    for module in modules:
        if module.path.name != "__init__.py":
            paths[module.path.parts[0], module.path.name].append(module.path)
    return [", ".join(map(str, several)) for several in paths.values() if len(several) > 1]


def names_defined_twice(modules: Iterable[Module]) -> list[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for name in sorted(set(_public_names(module.tree.body))):
            places[name].append(str(module.path))
    return [f"{name}: {', '.join(several)}" for name, several in sorted(places.items()) if len(several) > 1]


def _public_names(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("_"):
                    yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if _CONSTANT.fullmatch(name) or _TYPE_ALIAS.fullmatch(name):
                    yield name


# -- kinds of task -----------------------------------------------------------------------------------------------------


def kind_comparisons(modules: Iterable[Module]) -> list[str]:
    places = []
    for module in modules:
        if module.path.parts[0] == "tasks":
            continue
        for node in module.nodes():
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                if any(_decides_on_kind(a, b) or _decides_on_kind(b, a) for a, b in itertools.pairwise(sides)):
                    places.append(module.at(node, ast.unparse(node)))
            elif isinstance(node, ast.Match) and (_is_kind(node.subject) or _is_name_of_kind(node.subject)):
                places += [module.at(case.pattern, ast.unparse(case.pattern)) for case in node.cases]
    return places


def _decides_on_kind(asked: ast.expr, answer: ast.expr) -> bool:
    answers = answer.elts if isinstance(answer, ast.Tuple | ast.List | ast.Set) else [answer]
    if _is_kind(asked):
        return any(_CONSTANT.fullmatch(_last_part(one).lstrip("_")) for one in answers)
    return _is_name_of_kind(asked) and any(
        isinstance(one, ast.Constant) and isinstance(one.value, str) for one in answers
    )


def _is_kind(node: ast.expr) -> bool:
    return re.fullmatch(r"(\w*_)?kind", _last_part(node)) is not None


def _is_name_of_kind(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "name" and _is_kind(node.value)


def kind_name_comparisons(modules: Iterable[Module]) -> list[str]:
    modules = list(modules)
    names = set(_names_of_kinds(modules))
    places = []
    for module in modules:
        if module.path.parts[0] == "tasks":
            continue
        for node in module.nodes():
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                pairs = list(itertools.pairwise(sides))
                if any(
                    _names_one(answer, names) and not _is_objective(asked)
                    for pair, operator in zip(pairs, node.ops, strict=True)
                    # what stands before "in" is looked for, and not an answer
                    for asked, answer in ([pair] if isinstance(operator, ast.In | ast.NotIn) else [pair, pair[::-1]])
                ):
                    places.append(module.at(node, ast.unparse(node)))
            elif isinstance(node, ast.Match) and not _is_objective(node.subject):
                places += [
                    module.at(case.pattern, ast.unparse(case.pattern))
                    for case in node.cases
                    if any(isinstance(one, ast.Constant) and one.value in names for one in ast.walk(case.pattern))
                ]
    return places


def _names_of_kinds(modules: Iterable[Module]) -> Iterator[str]:
    """Names of the kinds of task that are made in ``tasks/``, from the calls of ``TaskKind``."""
    for module in modules:
        if module.path.parts[0] != "tasks":
            continue
        for node in module.nodes():
            if isinstance(node, ast.Call) and _last_part(node.func) == "TaskKind":
                for value in (*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "name")):
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value


def _names_one(answer: ast.expr, names: set[str]) -> bool:
    answers = answer.elts if isinstance(answer, ast.Tuple | ast.List | ast.Set) else [answer]
    return any(isinstance(one, ast.Constant) and one.value in names for one in answers)


def _is_objective(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "objective"
    return _last_part(node) == "objective"


def asserted_supervision(modules: Iterable[Module]) -> list[str]:
    return [
        module.at(node, ast.unparse(node))
        for module in modules
        for node in module.nodes()
        if isinstance(node, ast.Assert) and any(map(_says_supervision_is_there, ast.walk(node.test)))
    ]


def _says_supervision_is_there(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left=left, ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return _last_part(left).endswith("supervision")
    return False


# -- what is passed and held together ----------------------------------------------------------------------------------


def carriers(modules: Iterable[Module], pair: tuple[str, str]) -> list[str]:
    """Functions and dataclasses in which both names of ``pair`` stand, but for one dataclass of these alone."""
    found: list[str] = []
    values: list[str] = []
    for module in modules:
        for function in module.functions():
            if set(pair) <= set(_parameters(function)):
                found.append(module.at(function, function.name))
        for node, fields in module.dataclasses():
            if set(pair) <= set(fields):
                (values if set(fields) == set(pair) else found).append(module.at(node, node.name))
    return found + values[1:]


def limits_of_attacks(modules: Iterable[Module], are_arguments: bool) -> list[str]:
    """Dataclasses with four or more of `ATTACK_LIMITS`: those in ``attacks/``, or the arguments of commands."""
    return [
        module.at(node, f"{node.name} ({', '.join(held)})")
        for module in modules
        for node, fields in module.dataclasses()
        if len(held := sorted(ATTACK_LIMITS.intersection(fields))) >= 4
        and (node.name.endswith("Arguments") if are_arguments else module.path.parts[0] == "attacks")
    ]


def dataclasses_alike(modules: Iterable[Module]) -> list[str]:
    """Pairs of dataclasses in ``tasks/`` and ``evaluation/`` with five or more field names in common."""
    described = [
        (module.at(node, node.name), set(fields))
        for module in modules
        if module.path.parts[0] in ("tasks", "evaluation")
        for node, fields in module.dataclasses()
    ]
    return [
        f"{one} and {other}: {', '.join(sorted(shared))}"
        for (one, fields), (other, others) in itertools.combinations(described, 2)
        if len(shared := fields & others) >= 5
    ]


# -- functions, docstrings, lines --------------------------------------------------------------------------------------


def lines_with(modules: Iterable[Module], text: str) -> list[str]:
    return [
        f"{module.path}:{number} {line.strip()}"
        for module in modules
        for number, line in enumerate(module.text.splitlines(), start=1)
        if text in line
    ]


def functions_of_many_parameters(modules: Iterable[Module], limit: int = 6) -> list[str]:
    return [
        module.at(function, f"{function.name} ({count} parameters)")
        for module in modules
        for function in module.functions()
        if (count := len(_parameters(function))) > limit
    ]


def long_functions(modules: Iterable[Module], limit: int = 60) -> list[str]:
    return [
        module.at(function, f"{function.name} ({lines} lines)")
        for module in modules
        for function in module.functions()
        if (lines := _lines_of_body(function)) > limit
    ]


def docstrings_that_begin(modules: Iterable[Module], words: tuple[str, ...] = ("The", "What")) -> list[str]:
    return [
        f"{module.path}:{line} {docstring.splitlines()[0]}"
        for module in modules
        for line, docstring in _public_docstrings(module.tree)
        if docstring.split(maxsplit=1)[0] in words
    ]


def _public_docstrings(node: ast.Module | ast.ClassDef | Function) -> Iterator[tuple[int, str]]:
    if docstring := ast.get_docstring(node):
        yield 1 if isinstance(node, ast.Module) else node.lineno, docstring
    if isinstance(node, ast.Module | ast.ClassDef):  # what a function defines inside is nobody else's
        for child in node.body:
            if isinstance(child, ast.ClassDef | Function) and not child.name.startswith("_"):
                yield from _public_docstrings(child)


def prose(modules: Iterable[Module], shortest: int = 3) -> list[tuple[str, int]]:
    """Strings over ``shortest`` lines or more that are no docstrings: where each begins, and its lines."""
    return [
        (module.at(string, f"({lines} lines)"), lines)
        for module in modules
        for string in _strings(module.tree)
        if (lines := _lines(string)) >= shortest
    ]


def _strings(node: ast.AST) -> Iterator[ast.expr]:
    """Outermost strings, formatted ones too, but for those that are statements: docstrings."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or (isinstance(child, ast.Constant) and isinstance(child.value, str)):
            if not isinstance(node, ast.Expr):
                yield child
        else:
            yield from _strings(child)


def mentions_of_sys_path(modules: Iterable[Module]) -> list[str]:
    return [
        module.at(node, ast.unparse(node))
        for module in modules
        for node in module.nodes()
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path")
        or (isinstance(node, ast.ImportFrom) and node.module == "sys" and "path" in {name.name for name in node.names})
    ]


# -- syntax ------------------------------------------------------------------------------------------------------------


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _is_dataclass_decorator(node: ast.expr) -> bool:
    return _last_part(node.func if isinstance(node, ast.Call) else node) == "dataclass"


def _own_fields(node: ast.ClassDef) -> list[str]:
    return [
        statement.target.id
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and "ClassVar" not in ast.unparse(statement.annotation)
    ]


def _parameters(function: Function) -> list[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [one.arg for one in every if one.arg not in ("self", "cls")]


def _lines_of_body(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def _lines(node: ast.expr) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _last_part(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
