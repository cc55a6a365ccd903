"""The build step beside pyproject.toml: a wheel carries configs/ and sweeps/ as lyapsweep/starter/."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

STARTER = ("configs/*.yaml", "sweeps/*.py")  # an editable install reads them where they are


class BuildWithStarter(build_py):
    """Copy the files into the package as it is built."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source in self.starter_files():
            target = Path(self.build_lib, "lyapsweep", "starter", source)
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_source_files(self) -> list[str]:  # of a source distribution
        return [*super().get_source_files(), *map(str, self.starter_files())]

    def starter_files(self) -> list[Path]:
        return [file for pattern in STARTER for file in sorted(Path().glob(pattern))]


setup(cmdclass={"build_py": BuildWithStarter})
