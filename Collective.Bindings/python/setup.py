"""What pyproject.toml cannot say: the wheel contains the native library, and is one for this platform and every Python 3."""

from __future__ import annotations

import os
import pathlib
import shutil

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

FILE_NAME = "libcollective.so"
BUILT = pathlib.Path(__file__).resolve().parents[2] / "artifacts" / "native" / FILE_NAME


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        source = pathlib.Path(os.environ.get("COLLECTIVE_LIBRARY", BUILT))
        if source.is_dir():
            source = source / FILE_NAME
        if not source.is_file():
            raise SystemExit(f"There is no native library at {source}. Build it with 'bash Collective.Native/build.sh', or set COLLECTIVE_LIBRARY.")
        target = pathlib.Path(self.build_lib) / "collective" / "lib"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / FILE_NAME)


class PlatformWheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(distclass=WithLibrary, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
