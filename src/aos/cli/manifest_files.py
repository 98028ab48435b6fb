"""Reads a manifest from YAML files, and remembers where each part stands, so that a problem names file, line and column.

YAML 1.2's core values only: no tags, a bounded number of aliases, no document beside the first. Several files make one
manifest; what stands in two of them is refused with both places. Reading is iterative: depth cannot crash it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLStreamError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from aos.cli.failures import CliError, ExitStatus
from aos.kernel.errors import FieldError
from aos.kernel.json import Json
from aos.kernel.schema import pointer

BYTES_MAX: Final = 1_000_000
"""The largest manifest, all files together: as much as a request may hold."""
FILES_MAX: Final = 200
DEPTH_MAX: Final = 64
ALIASES_MAX: Final = 1_000
NODES_MAX: Final = 200_000
"""The most values a file may hold once its aliases are written out."""

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,400}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_WORDS: Final[dict[str, Json]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MEANT: Final = (
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("mapping values are not allowed here", "a `:` is not allowed here: quote the text, or mind the indentation"),
    ("found unexpected end of stream", "the text ends too soon"),
)
"""What YAML's parser says, and what it means for whoever wrote the file."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column of a file, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(slots=True)
class ManifestFiles:
    """The document, and the place of every key and of every single value by pointer."""

    document: dict[str, Json] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    values: dict[str, Place] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What somebody should know of how it was read."""

    def place(self, at: str, *, of_key: bool = False) -> Place | None:
        """Return where a pointer leads, or the nearest thing around it."""
        while at:
            found = (None if of_key else self.values.get(at)) or self.keys.get(at)
            if found:
                return found
            at, of_key = at.rpartition("/")[0], True
        return self.keys.get("")

    def located(self, error: FieldError) -> FieldError:
        """Return a problem with its place in front of its pointer."""
        place = self.place(error.pointer, of_key=error.detail.startswith(("unknown field", "unknown keyword")))
        return FieldError(f"{place}: {error.pointer or '/'}" if place else error.pointer, error.detail)


def read_manifest_files(source: Path) -> ManifestFiles:
    """Return the manifest of a file, or of all `.yaml` and `.yml` files in a folder, merged.

    Raises CliError naming file, line and column.
    """
    found = ManifestFiles()
    size = 0
    for path in _files_of(source):
        try:
            with path.open("rb") as file:
                data = file.read(BYTES_MAX + 1)
        except OSError as error:
            raise _refused(f"`{path}` cannot be read: {error.strerror or error}") from error
        size += len(data)
        if size > BYTES_MAX:
            raise _refused(f"`{source}` is over the limit of {BYTES_MAX:,} bytes for a manifest")
        _merge(found, _Reading(str(path), data).manifest())
    return found


def read_manifest_text(data: bytes, name: str) -> ManifestFiles:
    """Return the manifest of one text, called `name` in problems."""
    if len(data) > BYTES_MAX:
        raise _refused(f"`{name}` is over the limit of {BYTES_MAX:,} bytes for a manifest")
    return _Reading(name, data).manifest()


def _files_of(source: Path) -> list[Path]:
    if not source.is_dir():
        if not source.exists():
            raise CliError("Not found", f"there is no file or folder `{source}`", ExitStatus.NOT_FOUND)
        return [source]
    files = sorted(path for path in source.rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
    visible = [path for path in files if not any(step.startswith(".") for step in path.relative_to(source).parts)]
    if not visible:
        raise CliError("Not found", f"the folder `{source}` holds no `.yaml` file", ExitStatus.NOT_FOUND)
    if len(visible) > FILES_MAX:
        raise _refused(f"the folder `{source}` holds {len(visible)} files, over the limit of {FILES_MAX}")
    return visible


def _refused(detail: str) -> CliError:
    return CliError("Invalid manifest", detail, ExitStatus.USAGE)


@dataclass(slots=True)
class _Open:
    """A list or object being read: `key` is the name whose value comes next, `pins` the anchor to fill at its end."""

    value: list[Json] | dict[str, Json]
    at: str
    pin: str | None
    key: str | None = None
    nodes: int = 1


class _Reading:
    """One reading of one file, event by event."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name = name
        self._found = ManifestFiles(keys={"": Place(name, 1, 1)})
        self._text = self._decode(data)
        self._open: list[_Open] = []
        self._pins: dict[str, tuple[Json, int]] = {}
        self._aliases = 0
        self._nodes = 0
        self._documents = 0

    def manifest(self) -> ManifestFiles:
        try:
            for event in YAML(typ="safe", pure=True).parse(self._text):
                self._take(event)
        except MarkedYAMLError as error:
            raise self._malformed(error) from error
        except ReaderError as error:
            raise self._wrong(
                self._at(error.position), f"a character that YAML does not allow: {error.reason}"
            ) from error
        except YAMLStreamError as error:
            raise _refused(f"{self._name}: {error}") from error
        return self._found

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = data[: error.start].decode("utf-8", "replace")
            place = Place(self._name, before.count("\n") + 1, len(before) - before.rfind("\n"))
            raise self._wrong(place, f"byte 0x{data[error.start]:02x} is not UTF-8") from error

    def _at(self, position: int) -> Place:
        before = self._text[:position]
        return Place(self._name, before.count("\n") + 1, len(before) - before.rfind("\n"))

    def _wrong(self, place: Place, detail: str) -> CliError:
        return CliError("Invalid manifest", f"{place}: {detail}", ExitStatus.USAGE)

    def _malformed(self, error: MarkedYAMLError) -> CliError:
        """Say in our words what YAML's parser stumbled on."""
        mark = error.problem_mark or error.context_mark
        place = Place(self._name, mark.line + 1, mark.column + 1) if mark else Place(self._name, 1, 1)
        line = (self._text.splitlines() or [""])[min(place.line, len(self._text.splitlines()) or 1) - 1]
        problem = (error.problem or "is not YAML").strip()
        if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in problem:
            return self._wrong(place, "a tab cannot indent: use spaces")
        for said, meant in _MEANT:
            if problem.startswith(said):
                problem = meant
        context = f" {error.context}" if error.context else ""
        begun = error.context_mark
        since = f", begun in line {begun.line + 1}" if begun and begun.line + 1 != place.line else ""
        return self._wrong(place, f"not YAML: {problem}{context}{since}")

    def _take(self, event: Any) -> None:
        place = Place(self._name, event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._wrong(place, "a manifest is one document: a second one begins here")
            case MappingStartEvent() | SequenceStartEvent():
                self._begin(event, place)
            case MappingEndEvent() | SequenceEndEvent():
                done = self._open.pop()
                self._put(done.value, done.nodes, place, at=done.at, pin=done.pin, single=False)
            case ScalarEvent():
                self._scalar(event, place)
            case AliasEvent():
                self._alias(event.anchor, place)
            case _:
                pass

    def _begin(self, event: Any, place: Place) -> None:
        self._refuse_tag(event, place)
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            raise self._wrong(place, "a key must be a text, not a list or an object")
        if len(self._open) >= DEPTH_MAX:
            raise self._wrong(place, f"a manifest nests at most {DEPTH_MAX} deep")
        at = self._next_pointer()
        if self._open and isinstance(self._open[-1].value, list):
            self._found.keys.setdefault(at, place)
        value: list[Json] | dict[str, Json] = {} if isinstance(event, MappingStartEvent) else []
        self._open.append(_Open(value, at, event.anchor))

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            raise self._wrong(place, f"the tag `{event.tag}` is not read: a manifest holds plain values")

    def _scalar(self, event: Any, place: Place) -> None:
        self._refuse_tag(event, place)
        above = self._open[-1] if self._open else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            self._key(above, str(event.value), place)
            return
        plain = event.style is None or event.style == ""
        value = self._plain_value(event.value, place) if plain else event.value
        self._put(value, 1, place, at=self._next_pointer(), pin=event.anchor, single=True)

    def _key(self, above: _Open, name: str, place: Place) -> None:
        at = pointer(above.at, name)
        if isinstance(above.value, dict) and name in above.value:
            raise self._wrong(place, f"`{name}` stands here twice: first at {self._found.keys[at]}")
        if name == "<<":
            raise self._wrong(place, "`<<` is not read: write the fields out")
        above.key = name
        self._found.keys[at] = place

    def _plain_value(self, text: str, place: Place) -> Json:
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                raise self._wrong(place, f"the number `{text}` is too large")
            return number
        return text

    def _alias(self, name: str, place: Place) -> None:
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            raise self._wrong(place, f"a manifest has at most {ALIASES_MAX} aliases")
        above = self._open[-1]
        if isinstance(above.value, dict) and above.key is None:
            raise self._wrong(place, "a key cannot be an alias")
        if name not in self._pins:
            raise self._wrong(place, f"the alias `*{name}` names no anchor before it")
        value, nodes = self._pins[name]
        self._put(value, nodes, place, at=self._next_pointer(), pin=None, single=True)

    def _next_pointer(self) -> str:
        if not self._open:
            return ""
        above = self._open[-1]
        return pointer(above.at, len(above.value) if isinstance(above.value, list) else str(above.key))

    def _put(self, value: Json, nodes: int, place: Place, *, at: str, pin: str | None, single: bool) -> None:
        """Put a finished value where it belongs, and count what it would be with its aliases written out."""
        if single:
            self._nodes += nodes
            self._found.values[at] = place
            self._found.keys.setdefault(at, place)
        else:
            self._nodes += 1
        if self._nodes > NODES_MAX:
            raise self._wrong(place, f"a manifest holds at most {NODES_MAX:,} values, its aliases written out")
        if pin is not None:
            self._pins[pin] = (value, nodes)
        if not self._open:
            self._finish(value, place)
            return
        above = self._open[-1]
        above.nodes += nodes
        if isinstance(above.value, list):
            above.value.append(value)
        else:
            above.value[str(above.key)] = value
            above.key = None

    def _finish(self, value: Json, place: Place) -> None:
        if value is None:
            return
        if not isinstance(value, dict):
            raise self._wrong(place, "a manifest is an object that begins with `aos: 1`")
        self._found.document = value


_IDENTITIES: Final = {"policies": "id", "budgets": "id", "people": "email"}


def _merge(into: ManifestFiles, more: ManifestFiles) -> None:
    """Add one file's manifest to what was read before."""
    into.keys.setdefault("", more.keys[""])
    for section, value in more.document.items():
        at = pointer("", section)
        before = into.document.get(section)
        if section not in into.document:
            into.document[section] = value
            _move(into, more, at, at)
        elif isinstance(before, dict) and isinstance(value, dict):
            for name, member in value.items():
                inner = pointer(at, name)
                if name in before:
                    raise _twice(f"`{name}` under `{section}`", into.keys[inner], more.keys[inner])
                before[name] = member
                _move(into, more, inner, inner)
        elif isinstance(before, list) and isinstance(value, list):
            _merge_list(into, more, section, before=before, value=value)
        elif before != value or section != "aos":
            raise _twice(f"`{section}`", into.keys[at], more.keys[at])


def _merge_list(
    into: ManifestFiles, more: ManifestFiles, section: str, *, before: list[Json], value: list[Json]
) -> None:
    key = _IDENTITIES.get(section, "")
    at = pointer("", section)
    names = {name: index for index, item in enumerate(before) for name in _names(item, key)}
    for index, item in enumerate(value):
        for name in _names(item, key):
            if name in names:
                first, second = into.keys[pointer(at, names[name])], more.keys[pointer(at, index)]
                raise _twice(f"`{name}` under `{section}`", first, second)
        _move(into, more, pointer(at, index), pointer(at, len(before)))
        before.append(item)


def _names(item: Json, key: str) -> Iterator[str]:
    if isinstance(item, dict) and isinstance(item.get(key), str):
        yield str(item[key])


def _move(into: ManifestFiles, more: ManifestFiles, old: str, new: str) -> None:
    """Take over the places beneath a pointer."""
    for places, known in ((more.keys, into.keys), (more.values, into.values)):
        for at, place in places.items():
            if at == old or at.startswith(f"{old}/"):
                known[new + at[len(old) :]] = place


def _twice(what: str, first: Place, second: Place) -> CliError:
    return CliError("Invalid manifest", f"{second}: {what} stands at {first} as well", ExitStatus.USAGE)
