"""JSON text and value: what is read, what is refused, what is written, what an edit leaves alone."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stateheal.formats import jsontext
from stateheal.formats.jsonedit import rewrite, rewrite_carefully
from stateheal.formats.jsontext import (
    Document,
    ParseFailure,
    parse,
    parse_carefully,
    same,
    says,
    stringify,
    write,
    write_plain,
)
from tests.support import FIELD_DATA

NODE = shutil.which("node")

texts = st.text(st.characters(codec=None, categories=None), max_size=8)  # lone surrogates included
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
objects = st.dictionaries(texts, values, max_size=5)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """What is shown here is shown of orjson; the careful half is called by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsontext._Quick, "module", orjson)
        yield


def document(text: str) -> Document:
    parsed = parse(text.encode("utf-8"))
    assert isinstance(parsed, Document), parsed
    return parsed


def edited(before: Document, value: Any) -> str:
    return rewrite(before, value).decode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "white space"),
        (b"\0\0\0\0", "NUL"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"{} {}", "Extra data"),
        (b"{}x", "Extra data"),
        (b'{"a": 1,}', "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b'{"a": "x\ny"}', "not JSON"),
        (b'{"version": 1, "jobs": [{"id": "ta', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[01]", "not JSON"),
    ],
)
def test_what_the_plugin_cannot_read_is_refused(data: bytes, reason: str) -> None:
    failure = parse(data)
    assert isinstance(failure, ParseFailure)
    assert reason in failure.reason
    assert not failure.too_deep


def test_deep_nesting_is_out_of_reach_and_no_damage() -> None:
    failure = parse(b"[" * 200_000 + b"]" * 200_000)
    assert isinstance(failure, ParseFailure) and failure.too_deep
    assert isinstance(parse(b"[" * 200 + b"]" * 200), Document)
    assert isinstance(parse(json.dumps({"brackets": "[" * 9000}).encode()), Document), "brackets in text do not nest"


def test_duplicate_keys_are_named_and_the_last_one_counts() -> None:
    parsed = document('{"pid": 1, "x": {"y": 1, "y": 2}, "pid": 2}')
    assert parsed.value == {"pid": 2, "x": {"y": 2}}
    assert sorted(parsed.duplicates) == ["pid", "y"]


def test_a_number_longer_than_python_likes_is_read_as_javascript_does() -> None:
    assert document("1" * 5000).value == float("inf")
    assert document("12345678901234567890").value == 12345678901234567890


def test_equality_tells_true_from_one() -> None:
    assert not same({"a": [1]}, {"a": [True]})
    assert not same(1, 1.0)
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_every_field_file_is_in_the_layout_that_write_makes() -> None:
    paths = sorted(FIELD_DATA.rglob("*.json"))
    assert len(paths) > 30
    for path in paths:
        data = path.read_bytes()
        assert write(document(data.decode()).value) == data, path


# --- rewrite -------------------------------------------------------------------------------------------------------

ODD = """{
  "big": 12345678901234567890,
  "e": 1e21, "minus": -0, "one": 1.0,
  "sur": "\\ud800", "sep": "\\u2028\u2028", "slash": "a\\/b",
  "pid": 14225,
  "nested": {"k":[1 ,2,{"deep" : true}]}
}

"""


def test_untouched_spelling_stays() -> None:
    before = document(ODD)
    after = edited(before, {**before.value, "pid": None, "errorMessage": 'said "no"\n'})
    expected = ODD.replace('"pid": 14225', '"pid": null')
    assert after == expected.replace("true}]}\n}", 'true}]},\n  "errorMessage": "said \\"no\\"\\n"\n}')


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ('{"a":1,"b":2}', {"a": None}, '{"a":null,"b":2}'),
        ('{"a":1,"b":2}', {"c": {"d": 1}}, '{"a":1,"b":2,"c":{"d":1}}'),
        ('{"a": 1, "b": 2}', {"c": [1, 2]}, '{"a": 1, "b": 2, "c": [1, 2]}'),
        ('{\n\t"a": 1\n}', {"b": {"c": 1}}, '{\n\t"a": 1,\n\t"b": {\n\t\t"c": 1\n\t}\n}'),
        ('{\r\n    "a": 1\r\n}\r\n', {"b": 2}, '{\r\n    "a": 1,\r\n    "b": 2\r\n}\r\n'),
        ('{"pid":1,"pid":2}', {"pid": 3}, '{"pid":1,"pid":3}'),
        ("{}", {"a": 1}, '{"a":1}'),
        ('{\n  "a": {}\n}', {"a": {"b": []}}, '{\n  "a": {\n    "b": []\n  }\n}'),
    ],
)
def test_new_text_follows_the_layout_of_the_file(text: str, change: dict[str, Any], expected: str) -> None:
    before = document(text)
    assert edited(before, {**before.value, **change}) == expected


def test_removing_and_adding_items_keeps_the_others_as_they_stand() -> None:
    text = '{"jobs": [{"id": "a", "n": 1e3}, null,  {"id": "b"  }, {"id": "c"}]}'
    before = document(text)
    jobs = before.value["jobs"]
    after = edited(before, {"jobs": [{"id": "new"}, jobs[0], jobs[2]]})
    assert after == '{"jobs": [{"id": "new"}, {"id": "a", "n": 1e3}, {"id": "b"  }]}'
    assert edited(before, {"jobs": []}) == '{"jobs": []}'


def test_a_removed_key_takes_its_separator_along() -> None:
    before = document('{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n')
    assert edited(before, {"a": 1, "c": 3}) == '{\n  "a": 1,\n  "c": 3\n}\n'
    assert edited(before, {"b": 2, "c": 3}) == '{\n  "b": 2,\n  "c": 3\n}\n'
    assert edited(before, {"a": 1}) == '{\n  "a": 1\n}\n'


layouts = st.sampled_from([None, 1, 2, 4, "\t"])


@given(objects, objects, layouts, st.booleans())
def test_rewritten_text_says_the_new_value_in_any_layout(
    old: dict[str, Any], new: dict[str, Any], indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(old, indent=indent, ensure_ascii=True if _surrogates(old) else ascii_only)
    before = document(text)
    merged = {**before.value, **new}
    assert same(document(edited(before, merged)).value, merged)
    assert edited(before, copy.deepcopy(before.value)) == text, "no change, no byte"


@given(st.lists(values, max_size=6), st.lists(values, max_size=3), st.data())
def test_lists_are_rewritten_whatever_comes_and_goes(old: list[Any], new: list[Any], data: st.DataObject) -> None:
    kept = [item for item in old if data.draw(st.booleans())]
    wanted = {"jobs": new + kept}
    before = document(stringify({"jobs": old}))
    assert same(document(edited(before, wanted)).value, wanted)


@given(objects, objects)
def test_in_the_plugins_layout_the_result_is_what_the_plugin_would_write(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before = document(write(old).decode())
    merged = {**before.value, **new}
    after = edited(before, merged)
    assert same(document(after).value, merged)
    assume(not _has_exponent(after + json.dumps(merged)))
    assert after.encode() == write(document(after).value), "new keys go last; the layout is the plugin's throughout"


# --- bytes that are no UTF-8 ---------------------------------------------------------------------------------------

MARK = "\ue000"
FOREIGN = (b"\xff", b"\xe9", b"\xe2\x82", b"\xed\xa0\x80", b"\x80", b"\xf0\x9f\x98", b"\xc3", b"\xf8\x88\x80\x80\x80")
foreign = st.sampled_from(FOREIGN)
marked = st.dictionaries(
    st.sampled_from(("a", "b", f"c{MARK}", f"{MARK}d", 'e\\"')) | texts,
    st.sampled_from((MARK, f"caf{MARK}", f"{MARK}{MARK}\\", {"id": MARK}, [{"deep": MARK}, 1])) | values,
    max_size=6,
)


@given(marked, objects, layouts, foreign)
def test_foreign_bytes_stay_where_nothing_is_changed(
    old: dict[str, Any], new: dict[str, Any], indent: int | str | None, junk: bytes
) -> None:
    """The edit of a text with foreign bytes in it is that of the text without, with the same bytes in it."""
    text = json.dumps(old, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    with_mark, with_junk = parse(text), parse(text.replace(MARK.encode(), junk))
    assert isinstance(with_mark, Document) and isinstance(with_junk, Document)
    new = {key: each for key, each in new.items() if MARK not in json.dumps([key, each], ensure_ascii=False)}
    wanted = {**with_mark.value, **new}
    assume(len(with_junk.value) == len(with_mark.value) and not (new.keys() & with_junk.value.keys() - wanted.keys()))
    expected = rewrite(with_mark, wanted).replace(MARK.encode(), junk)
    assert rewrite(with_junk, {**with_junk.value, **new}) == expected


@given(values, st.integers(0, 400), foreign)
def test_a_foreign_byte_reads_as_node_reads_it(value: Any, start: int, junk: bytes) -> None:
    text = write(value)
    data = text[:start] + junk + text[start:]
    ours, shown = parse(data), parse(data.decode("utf-8", "replace").encode())
    assert type(ours) is type(shown)
    assert isinstance(ours, ParseFailure) or same(ours.value, shown.value)
    if isinstance(ours, Document):
        assert rewrite(ours, copy.deepcopy(ours.value)) == data, "no change, no byte"


def test_of_keys_that_read_alike_the_last_one_counts() -> None:
    parsed = parse(b'{"a\xff": 1, "a\xfe": 2}')
    assert isinstance(parsed, Document) and parsed.value == {"a\ufffd": 2} and parsed.duplicates == ("a\ufffd",)
    assert rewrite(parsed, {"a\ufffd": 3}) == b'{"a\xff": 1, "a\xfe": 3}'


noise = st.sampled_from(
    [b"", b"\0", b'"', b"}", b"{", b" ", b",", b"\\ud800", b"1e400", b"-0", b"1.0", b'"a": 1,\n', b"\xff"]
)


@given(values, st.integers(0, 400), st.integers(0, 3), noise)
def test_the_quick_reading_never_disagrees_with_the_careful_one(
    value: Any, start: int, cut: int, middle: bytes
) -> None:
    """Texts in the plugin's layout, and the same with bytes put in or taken out."""
    text = write(value)
    for data in (text, text[:start] + middle + text[start + cut :]):
        quick, careful = parse(data), parse_carefully(data)
        assert type(quick) is type(careful)
        if isinstance(quick, Document) and isinstance(careful, Document):
            assert same(quick.value, careful.value) and quick.duplicates == careful.duplicates
            assert quick.text == careful.text
        else:
            assert quick == careful


@pytest.mark.parametrize("depth", [150, 199, 200, 201, 202, 500, 1100])
def test_the_quick_reading_is_as_deep_as_the_careful_one(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    text = stringify(value).encode() + b"\n" if depth < 250 else b'{"a":' * depth + b"1" + b"}" * depth
    assert parse(text) == parse_carefully(text) or parse(text)._replace(plain=False) == parse_carefully(text)
    assert isinstance(parse(text), Document) == (depth <= 200)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Any, Any]:
    """A value, and what repairs make of one: changed, lost and new keys, in places, of objects in lists too."""
    old = draw(st.dictionaries(texts, values | st.lists(objects, max_size=4), max_size=5))
    return old, draw(_edited(old))


def _edited(old: Any) -> st.SearchStrategy[Any]:
    if isinstance(old, dict):
        kept = {key: st.just(each) | _edited(each) | values for key, each in old.items()}
        return st.tuples(st.fixed_dictionaries({}, optional=kept), objects).flatmap(
            lambda pair: st.just({**pair[0], **pair[1]}) | st.permutations(list(pair[0].items())).map(dict)
        )
    if isinstance(old, list) and old:
        return st.tuples(*(st.just(each) | _edited(each) for each in old)).flatmap(
            lambda items: st.lists(st.sampled_from(items), max_size=4) | st.just(list(items))
        )
    return values


@given(edits())
def test_the_quick_edit_never_disagrees_with_the_careful_one(pair: tuple[Any, Any]) -> None:
    old, new = pair
    text = write_plain(old)
    before = parse(text) if text is not None else None
    assume(not _has_exponent(json.dumps(new)))
    if isinstance(before, Document):
        assert _has_exponent(json.dumps(old)) or text == (stringify(old) + "\n").encode()
        # What a repair leaves alone stays the very same object, as it does in a draft.
        assert before.plain and rewrite(before, new) == rewrite_carefully(before, new)
        assert rewrite(before, _shared(before.value, new)) == rewrite_carefully(before, new)


def test_orjson_is_imported_when_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext._Quick, "module", None)
    monkeypatch.setattr(jsontext._Quick, "so_far", 0)
    text = (stringify({"a": "x" * 2**20}) + "\n").encode()
    plain = [isinstance(each := parse(text), Document) and each.plain for _ in range(5)]
    assert plain == [False, False, False, True, True] and write_plain({"a": 1}) == b'{\n  "a": 1\n}\n'
    assert jsontext._Quick.module is orjson


@pytest.mark.parametrize(
    "change",
    [
        lambda old, big: {**old, "a": big},
        lambda old, big: {**old, "new": [{"deep": big}]},
        lambda old, big: {**old, "jobs": [{**old["jobs"][0], "x": big}, *old["jobs"][1:]]},
        lambda old, big: {**old, "jobs": [{"id": "z", "x": [big]}, *old["jobs"]]},
        lambda old, big: {**old, "jobs": [*old["jobs"], big]},
        lambda old, big: {**old, "jobs": [*old["jobs"], {"x": big}]},
        lambda old, big: {**old, "jobs": [old["jobs"][0], big]},
    ],
)
def test_infinity_never_becomes_null(change: Any) -> None:
    """``1e999`` is legal JSON and reads as infinity, of which orjson would make null."""
    before = parse(write({"a": 1, "jobs": [{"id": "x"}, {"id": "y"}]}))
    assert isinstance(before, Document) and before.plain
    wanted = change(before.value, document('{"a": 1e999}').value["a"])
    after = rewrite(before, wanted)
    assert b"null" not in after and same(document(after.decode()).value, wanted)
    assert write_plain(wanted) is None and says(after, wanted) and not says(after.replace(b'"a"', b'"b"'), wanted)


def _has_exponent(text: str) -> bool:
    """Numbers very large or small, which stateheal never makes: json spells new ones ``1e-05``, orjson ``1e-5`` or,
    from 3.13 on, ``0.00001``."""
    return re.search(r"\de[+-]?\d|\d{16}", text) is not None


def _shared(old: Any, new: Any) -> Any:
    """The new value, made of the old one's own objects where they are the same."""
    if same(old, new):
        return old
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: _shared(old.get(key), each) for key, each in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        return [next((mine for mine in old if same(mine, each)), each) for each in new]
    return new


def _surrogates(value: Any) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False))


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.processes
def test_node_writes_the_same_bytes() -> None:
    """One node process checks many values: ours must be what JSON.stringify makes of its own reading."""
    samples: list[Any] = [
        {"s": '\ud800 \udfff \U0001f600 \u2028 \x7f \x00 \x1f \b\f\n\r\t " \\ / é'},
        {"empty": {}, "list": [], "nested": [[], {}, [{"a": [1, None, True, False]}]]},
        {"n": [0, 1, -1, 123456789, 1.5]},
        *(json.loads(path.read_text()) for path in sorted(FIELD_DATA.rglob("*.json"))),
    ]
    ours = [write(sample).decode() for sample in samples]
    script = (
        "const texts=JSON.parse(require('fs').readFileSync(0,'utf8'));"
        "console.log(JSON.stringify(texts.map(t=>JSON.stringify(JSON.parse(t),null,2)+'\\n'===t)))"
    )
    answer = subprocess.run(
        [str(NODE), "-e", script], input=json.dumps(ours), capture_output=True, encoding="utf-8", check=True, timeout=60
    )
    assert json.loads(answer.stdout) == [True] * len(samples)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.processes
def test_node_reads_the_same_text_from_foreign_bytes(tmp_path: Path) -> None:
    """The very call of the plugin: ``JSON.parse(fs.readFileSync(path, "utf8"))``."""
    pieces = (
        *FOREIGN,
        b"\xc3\xa9",
        b"\xf4\x90\x80\x80",
        b"\xe0\x80\x80",
        b"\xef\xbb\xbf",
        b"\xc3\xa9\xe2\x82x",
        b"\\ud800",
    )
    inputs = [b'{"a": "x' + one + two + b'y"}\n' for one in pieces for two in (b"", *pieces)]
    inputs += [
        b"\xff{}",
        b"{}\xff",
        b'{\xff"a": 1}',
        b"\xef\xbb\xbf{}",
        b'{"a\xe9": "\xe9"}',
        '{"a": "é"}'.encode("utf-16"),
    ]
    for number, data in enumerate(inputs):
        (tmp_path / f"{number}.json").write_bytes(data)
    script = (
        "const fs=require('fs');const out=[];for(let n=0;n<+process.argv[2];n++){"
        "try{out.push([JSON.parse(fs.readFileSync(`${process.argv[1]}/${n}.json`,'utf8'))])}catch{out.push(null)}}"
        "console.log(JSON.stringify(out))"
    )
    command = [str(NODE), "-e", script, str(tmp_path), str(len(inputs))]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=60)
    ours = [parse(data) for data in inputs]
    assert [[each.value] if isinstance(each, Document) else None for each in ours] == json.loads(answer.stdout)
