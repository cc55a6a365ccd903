"""Sections of a check, run in order within a budget of seconds; JSON after each of them, and resumed from there."""

import contextlib
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass
class Section:
    """What a section writes to, and until when.

    Attributes:
        device: "cpu" or "cuda".
        found: Results by name, written to the JSON file after the section.
        quick: Whether few and small cases are asked for.
    """

    device: str
    seconds: float
    quick: bool = False
    found: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    @property
    def over(self) -> bool:
        """Whether the section's seconds are spent; it then leaves out what remains."""
        return time.perf_counter() - self.began > self.seconds

    def attempt(self, name: str, function: Callable[[], Any]) -> Any:
        """Keep what the function returns, or the error that it raises, under `name`; leave it out if time is over."""
        if self.over:
            self.found.setdefault("left out", []).append(name)
            return None
        try:
            self.found[name] = function()
            return self.found[name]
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            places = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "site-packages" not in f.filename]
            self.found[name] = {"raises": f"{type(error).__name__}: {error}"[:400], "at": places[::-1][:8]}
            return None

    def synchronise(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    def seconds_of(self, function: Callable[[], Any], repeats: int = 5) -> float:
        """Median seconds of a call, after one that does not count."""
        took = []
        for _ in range(repeats + 1):
            self.synchronise()
            began = time.perf_counter()
            function()
            self.synchronise()
            took.append(time.perf_counter() - began)
        return sorted(took[1:])[repeats // 2]


@dataclass(frozen=True)
class Check:
    """A check of one machine.

    Args:
        sections: Name -> the function, and the seconds that it may take.
        out: The JSON file.
        device: "cpu" or "cuda".
        seconds: Of all sections.
        quick: Whether few and small cases are asked for.
    """

    sections: dict[str, tuple[Callable[[Section], None], float]]
    out: Path
    device: str
    seconds: float
    quick: bool

    def run(self, chosen: list[str]) -> None:
        """Run the chosen sections that the JSON file does not hold yet."""
        result = json.loads(self.out.read_text()) if self.out.exists() else {}
        began = time.perf_counter()
        for name in chosen:
            if name in result:
                continue
            function, wanted = self.sections[name]
            left = self.seconds - (time.perf_counter() - began)
            if left < min(wanted, 5):
                print(f"== {name}: left out, {left:.0f} s remain", flush=True)
                continue
            section = Section(self.device, min(wanted, left), self.quick)
            section.attempt("error", lambda function=function, section=section: function(section))
            if section.found.get("error") is None:
                section.found.pop("error", None)
            section.found["seconds"] = round(time.perf_counter() - section.began, 1)
            result[name] = section.found
            self.out.write_text(json.dumps(result, indent=1, default=str))
            print(f"== {name}: {json.dumps(section.found, default=str)[:1500]}", flush=True)
            if self.device != "cpu":
                with contextlib.suppress(Exception):
                    torch.cuda.empty_cache()
