"""The data of the page: what Python writes fits its types, and the scripts read every field of them and no other."""

import json
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import exploring
import jsonschema
import made_up_map
import numpy as np
import pytest
from exploring import opened, place, written
from test_explorer_orbits import HERE, moving

from lyapsweep.atlas import compression, explorer, orbits, page_data
from lyapsweep.atlas.view import AtlasView

browser = exploring.browser
BLOCKS = {"trials": page_data.MapData, "orbits": page_data.OrbitData}
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
FOUND = {
    "kinds": {"stable": [1, 0.5, 0.5]},
    "slow": 2,
    "far": 0,
    "started": 100,
    "points": [["stable", [0.1, 0.2, 0.3]]],
    "regions": {"visited": 3, "real": 1, "virtual": 1, "none": 1},
}
# Records the path of every field that the scripts read, without indices of arrays.
WATCH = """
(() => {
  const parse = JSON.parse, read = window.fieldsRead = new Set();
  const watched = (value, path) => value === null || typeof value !== "object" ? value : new Proxy(value, {
    get(target, key) {
      const got = Reflect.get(target, key);
      if (typeof key === "symbol" || typeof got === "function") return got;
      const here = Array.isArray(target) ? path : `${path}|${key}`;
      if (!Array.isArray(target)) read.add(here);
      return watched(got, here);
    },
  });
  JSON.parse = text => {
    const value = parse(text);
    const name = value?.trial && value.settings ? "trials" : value?.truths ? "orbits" : null;
    return name ? watched(value, name) : value;
  };
})()
"""


def schema(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type."""
    origin, args = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        fields = {key: hint.__args__[0] if get_origin(hint) is NotRequired else hint for key, hint in hints.items()}
        return {
            "type": "object",
            "properties": {key: schema(hint) for key, hint in fields.items()},
            "required": sorted(kind.__required_keys__),
            "additionalProperties": False,
        }
    if origin in (Union, UnionType):
        return {"anyOf": [schema(arg) for arg in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is list:
        return {"type": "array", "items": schema(args[0])}
    if origin is tuple:
        return {"type": "array", "prefixItems": [schema(arg) for arg in args], "items": False}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema(args[1])}
    return {"type": JSON_TYPES[kind]}


def fields(node: dict[str, Any], path: str) -> set[str]:
    """Paths of the declared fields, without indices of arrays; `*` stands for the keys of a mapping."""
    found = set()
    for key, value in node.get("properties", {}).items():
        found |= {f"{path}|{key}"} | fields(value, f"{path}|{key}")
    for part in (*node.get("anyOf", ()), *([node["items"]] if isinstance(node.get("items"), dict) else ())):
        found |= fields(part, path)
    if isinstance(node.get("additionalProperties"), dict):
        found |= {f"{path}|*"} | fields(node["additionalProperties"], f"{path}|*")
    return found


def generic(keys: list[str], declared: set[str]) -> str:
    """A path with `*` for the keys of mappings."""
    path = keys[0]
    for key in keys[1:]:
        path += "|*" if f"{path}|*" in declared else f"|{key}"
    return path


def view():
    """A map whose cards have everything: scores with floors, orbits, spectra, fixed points, and one error."""
    table = moving()
    table.frame["floors/loss"] = 0.01
    trials = table.finals.frame["trial"].tolist()
    here = exploring.trial_at(table, *HERE).trial
    other = next(trial for trial in trials if trial != here)
    return AtlasView(table, "results/border", (here,), {here: FOUND, other: {"error": "no data"}})


def data(name, of):
    made = explorer.map_data(of) if name == "trials" else orbits.orbit_data(of)
    return json.loads(compression.compact_json(made))


@pytest.mark.parametrize("name", BLOCKS)
def test_the_data_fit_their_schema(name):
    rules = schema(BLOCKS[name])
    jsonschema.Draft202012Validator.check_schema(rules)
    jsonschema.validate(data(name, view()), rules, jsonschema.Draft202012Validator)
    bare = AtlasView(made_up_map.table(4))
    if name == "trials":
        jsonschema.validate(data(name, bare), rules, jsonschema.Draft202012Validator)
    broken = data(name, view())
    broken["unknown"] = 1
    with pytest.raises(jsonschema.ValidationError, match="unknown"):
        jsonschema.validate(broken, rules, jsonschema.Draft202012Validator)


@pytest.mark.skipif(exploring.CHROMIUM is None, reason="No Chromium or Chrome is installed.")
def test_the_scripts_read_every_declared_field_and_no_other(browser, tmp_path):
    declared = set().union(*(fields(schema(kind), name) for name, kind in BLOCKS.items()))
    with opened(browser, written(view(), tmp_path), script=WATCH) as tab:
        tab.wait_for_function("explorer.card.orbits")
        tab.mouse.click(*place(tab, *HERE))
        tab.mouse.click(*place(tab, *HERE))
        for i, j in np.ndindex(exploring.SIDE, exploring.SIDE):
            tab.mouse.click(*place(tab, i, j))
        read = set(tab.evaluate("[...fieldsRead]"))
    found = {generic(path.split("|"), declared) for path in read}
    assert {path for path in found if path[-1] != "*"} == {path for path in declared if path[-1] != "*"}
