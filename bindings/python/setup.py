"""All but the wheel's tag is in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel

CARRIES_LIBRARY = (Path(__file__).parent / "src" / "kmsbox" / "libkmsbox.so.0").exists()


class Package(Distribution):
    """The package, which depends on the platform where it carries the library."""

    def has_ext_modules(self) -> bool:
        return CARRIES_LIBRARY


class Wheel(bdist_wheel):
    """A wheel for every Python."""

    def get_tag(self) -> tuple[str, str, str]:
        _python, _abi, platform = super().get_tag()
        return "py3", "none", platform


setup(distclass=Package, cmdclass={"bdist_wheel": Wheel})
