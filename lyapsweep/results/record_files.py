"""The files of records in a folder, by trial."""

from pathlib import Path

from lyapsweep.results.experiment import RECORD_SUFFIX, record_files


def trial_of(file: Path) -> str:
    """The trial that a record's file belongs to, by the file's name."""
    return file.stem.rpartition("-")[0] or file.stem


def files_by_trial(folder: Path, trial: str = "") -> dict[str, list[Path]]:
    """The record files in a folder by trial, those of a trial in order of step; of one trial if it is given."""
    files: dict[str, list[Path]] = {}
    for file in sorted(record_files(folder.glob(f"{f'{trial}-' if trial else ''}*{RECORD_SUFFIX}"))):
        files.setdefault(trial_of(file), []).append(file)
    return files


def latest_files(folder: Path, trial: str = "") -> dict[str, Path]:
    """The file of the last record of every trial in a folder; of one trial if it is given."""
    return {name: files[-1] for name, files in files_by_trial(folder, trial).items()}
