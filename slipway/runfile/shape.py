"""The shape of a run file: the JSON Schema that editors use too, and its errors in our words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.runfile.formats import FORMATS, SUGGESTIONS
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def check_shape(document: Document) -> None:
    """Note all problems with the file's shape, and take what has one out of the tree, so that what follows need not
    look at it again."""
    bad: list[NodePath] = []
    for error in _validator().iter_errors(document.value):
        path = tuple(error.absolute_path)
        if path in document.unusable:
            continue
        bad.extend(_translate(document, path, error))
    for path in [*bad, *document.unusable]:
        document.drop(path)


def _translate(document: Document, path: NodePath, error: Any) -> Iterator[NodePath]:
    """Note the problem, a `ValidationError`; yields the paths that cannot be used because of it."""
    instance, schema, rule = error.instance, error.schema, error.validator_value
    if "propertyNames" in error.absolute_schema_path:
        document.problem((*path, instance), f"{quoted(instance)} is not {schema['title']}", key=True)
    elif error.validator == "additionalProperties":
        known = schema["properties"]
        for key in [key for key in instance if key not in known]:
            document.problem((*path, key), f"unknown key {quoted(key)}", key=True, wrong=key, known=known)
            yield (*path, key)
    elif error.validator == "required":
        # One error a key that is missing; the text is the same for all of them and is kept once.
        missing = [key for key in rule if key not in instance]
        document.problem(path, f"{_label(path)} needs {', '.join(missing)}", key=True)
        yield from ((*path, key) for key in missing)
    else:
        known = [str(value) for value in rule] if error.validator == "enum" else []
        wrong = instance if isinstance(instance, str) else ""
        document.problem(path, f"{_label(path)} {_words(error)}", wrong=wrong, known=known)
        yield path


def _label(path: NodePath) -> str:
    """What a message calls the value: its key, with the index in a list."""
    if not path:
        return "the file"
    last = path[-1]
    if isinstance(last, int):
        return f"{_label(path[:-1])}[{last}]"
    return last if re.fullmatch(r"[\w.-]{1,63}", last, re.ASCII) else quoted(last)


def _words(error: Any) -> str:
    rule, schema, found = error.validator_value, error.schema, quoted(error.instance)
    match error.validator:
        case "type":
            wanted = [rule] if isinstance(rule, str) else rule
            title = schema.get("title") if error.absolute_path else None
            text = f"must be {title or ' or '.join(_TYPES[name] for name in wanted)}, not {found}"
            is_plain = isinstance(error.instance, (bool, int, float))
            return f'{text}: write "{found}"' if is_plain and wanted == ["string"] and not title else text
        case "pattern" | "format":
            suggest = SUGGESTIONS.get(schema.get("format", ""))
            meant = suggest(error.instance) if suggest else None
            ending = f", did you mean {meant}?" if meant and meant != error.instance else ""
            return f"must be {schema['title']}, not {found}{ending}"
        case "const":
            return f"must be {rule}, the version that this Slipway reads, not {found}"
        case "enum":
            return f"must be one of {', '.join(rule)}, not {found}"
        case "minimum":
            return f"must be at least {rule}, not {found}"
        case "exclusiveMinimum":
            return f"must be more than {rule}, not {found}"
        case "maximum":
            return f"must be at most {rule}, not {found}"
        case "minItems" | "minLength":
            return "must not be empty"
        case "maxItems":
            return f"may have at most {rule} items, not {len(error.instance)}"
        case "uniqueItems":
            return f"{found} is given twice"
        case other:
            raise AssertionError(f"no words for the schema's keyword {other}")


@cache
def _validator() -> Validator:
    """The schema's validator: patterns match a whole text, an integer is never 2.0, our formats are checked."""
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def pattern(_validator: Validator, rule: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not re.fullmatch(rule, instance):
            yield ValidationError("pattern")

    def unique(_validator: Validator, _rule: bool, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        seen = set()
        for index, item in enumerate(instance if isinstance(instance, list) else ()):
            if not isinstance(item, str):
                continue
            if item in seen:
                yield ValidationError("unique", path=[index], instance=item)
            seen.add(item)

    formats = FormatChecker(formats=())
    for name, parse in FORMATS.items():
        formats.checks(name, raises=ValueError)(_for_texts(parse))
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _checker, value: isinstance(value, int) and not isinstance(value, bool)
    )
    checks = {"pattern": pattern, "uniqueItems": unique}
    schema = json.loads(Path(__file__).with_name("schema.json").read_text())
    kind: Any = extend(Draft202012Validator, checks, type_checker=types)  # type: ignore[no-untyped-call]
    validator: Validator = kind(schema, format_checker=formats)
    return validator


def _for_texts(parse: Any) -> Any:
    def check(value: object) -> bool:
        if isinstance(value, str):
            parse(value)
        return True

    return check
