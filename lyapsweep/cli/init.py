"""`lyapsweep init`: a folder to start from, with the packaged configs and sweeps."""

import shlex
import shutil
from pathlib import Path

import click

from lyapsweep.cli import options, printing
from lyapsweep.cli.errors import CommandError
from lyapsweep.packaged import SUFFIXES, packaged_files

README = """# Sweeps of recurrent networks

Made by `lyapsweep init`. A file in `configs/` is one network, a file in `sweeps/` is a question and the settings that
are varied for it. These files are yours to change: in this folder they come before the packaged ones.

```sh
lyapsweep run lorenz63                                       # one network, about a minute
lyapsweep sweep forcing_interval                             # 63 networks and their atlas, a few minutes on two cores
lyapsweep suggest my.csv --dt 0.01                           # your own series: forcing intervals to sweep
```

`lyapsweep list sweeps` and `lyapsweep list configs` say what each file is for, `lyapsweep --help` what else there is.
"""


@click.command(
    "init",
    short_help="Copy the packaged configs and sweeps into a folder.",
    epilog=options.example("lyapsweep init my_project"),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@options.debug
def command(folder: Path) -> None:
    """Copy the packaged configs and sweeps into FOLDER, with a README of the first commands. Nothing is overwritten.

    FOLDER is made if it is not there.  [default: the current folder]
    """
    parts = [*(folder / family for family in SUFFIXES), folder / "README.md"]
    if there := [str(part) for part in parts if part.exists()]:
        raise CommandError(f"{', '.join(there)}: already there. Choose another folder, such as `lyapsweep init new`.")
    for family in SUFFIXES:
        (folder / family).mkdir(parents=True)
        for file in packaged_files(family):
            shutil.copyfile(file.path, folder / family / file.path.name)
    (folder / "README.md").write_text(README, encoding="utf-8")
    go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    made = [(f"{part}/", f"{len(packaged_files(part.name))} files") for part in parts[:-1]]
    next_one = f"{go}lyapsweep run lorenz63, then what {folder / 'README.md'} says"
    printing.write(printing.console(), [*made, ("next", next_one)])
