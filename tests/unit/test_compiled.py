"""The core is compiled once, and not by every command, as Ansible's loader would."""

from __future__ import annotations

import importlib
import pathlib
import sys
from importlib.machinery import SourceFileLoader

CORE = "ansible_collections.distributed.gummy.plugins.plugin_utils"


def test_modules_of_the_core_are_loaded_by_the_loader_that_keeps_what_it_compiled() -> None:
    for name in (f"{CORE}._errors", f"{CORE}._run", f"{CORE}._run.engine"):
        spec = importlib.import_module(name).__spec__
        assert spec is not None
        assert isinstance(spec.loader, SourceFileLoader), name
        assert sys.dont_write_bytecode or pathlib.Path(spec.cached or "").is_file(), name


def test_what_is_not_there_is_not_found_and_other_packages_are_left_alone() -> None:
    core = importlib.import_module(CORE)
    finder = core.CompiledModules(CORE)
    assert finder.find_spec(f"{CORE}._attic", list(core.__path__)) is None
    assert finder.find_spec(f"{CORE}_other.box", list(core.__path__)) is None
    assert finder.find_spec("json", None) is None


def test_it_is_asked_before_ansible_and_others_keep_their_place() -> None:
    class _AnsibleCollectionFinder:
        pass

    core = importlib.import_module(CORE)
    finder, other, theirs = core.CompiledModules(CORE), object(), _AnsibleCollectionFinder()
    finders = [other, theirs]
    core.put_before_ansible(finder, finders)
    assert finders == [other, finder, theirs]
    finders = [other]
    core.put_before_ansible(finder, finders)
    assert finders == [other]
