"""The contract of `make lint` on the wings of plugins/plugin_utils: which may import which.

The table itself is in pyproject.toml, under `[[tool.importlinter.contracts]]`; import-linter reads
the imports, those inside functions and under TYPE_CHECKING too. A wing is a folder, or a file that
lies beside the folders. Python files that belong to no wing of the table are refused, so that a new
wing has to be entered.
"""

from __future__ import annotations

import graphlib
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

# What a module of the standard library, or a file of the node program's zip, is called first.
STANDARD_LIBRARY = frozenset(sys.stdlib_module_names)


class BrokenRule(NamedTuple):
    """One import that the table does not allow, or one fault of the table itself."""

    # Where the import stands, as `_run.engine`; empty for a fault of the table.
    importer: str
    # What is imported, in the same short form.
    imported: str
    # The whole sentence for people.
    text: str


class ArrowsField(fields.Field):  # type: ignore[type-arg]
    """Lines of the form `importer -> imported, imported`; nothing after the arrow is nobody."""

    def parse(self, raw_data: str | list[str]) -> dict[str, frozenset[str]]:
        """Return the imported names by importer; a line without an arrow is refused."""
        lines = [raw_data] if isinstance(raw_data, str) else raw_data
        arrows: dict[str, frozenset[str]] = {}

        for line in lines:
            importer, arrow, imported = line.partition("->")
            if not arrow:
                raise fields.ValidationError(f"{line!r} is not of the form 'a -> b, c'")
            if importer.strip() in arrows:
                raise fields.ValidationError(f"{importer.strip()} stands twice")
            names = (name.strip() for name in imported.split(","))
            arrows[importer.strip()] = frozenset(name for name in names if name)

        return arrows


class WingsContract(Contract):
    """Imports between wings, and of packages that are not ours, are exactly those of the table."""

    type_name = "wings"

    # The package whose folders are the wings.
    container = fields.StringField()
    # Which wing may import which: one line for each wing.
    allowed = ArrowsField()
    # Which modules or wings may import which packages beside Python's own.
    packages = ArrowsField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Hold each import of the container's modules against the table.

        The broken rules are in the answer's metadata, under "broken".
        """
        broken = [*self._faults_of_the_table(graph), *self._forbidden_imports(graph)]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a line for each broken rule."""
        for rule in check.metadata["broken"]:
            output.print_error(rule.text)

    def _faults_of_the_table(self, graph: ImportGraph) -> Iterator[BrokenRule]:
        """A wing that the table lacks, one that is not there, and a circle of arrows."""
        wings = {self._wing(module) for module in graph.find_descendants(self._container)}
        for wing in sorted(wings - set(self._allowed)):
            yield BrokenRule("", wing, f"{wing} is no wing of the table in pyproject.toml")
        for wing in sorted(set(self._allowed) - wings):
            yield BrokenRule("", wing, f"{wing} is in the table of pyproject.toml and not there")

        try:
            graphlib.TopologicalSorter(self._allowed).prepare()
        except graphlib.CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            yield BrokenRule("", "", f"the table allows a circle: {circle}")

    def _forbidden_imports(self, graph: ImportGraph) -> Iterator[BrokenRule]:
        for importer in sorted(graph.find_descendants(self._container)):
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                reason = self._reason_against(importer, imported)
                if not reason:
                    continue

                lines = graph.get_import_details(importer=importer, imported=imported)
                numbers = ", ".join(str(line["line_number"]) for line in lines)
                arrow = f"{self._short(importer)} -> {self._short(imported)}"
                text = f"{arrow} (l. {numbers}): {reason}"
                yield BrokenRule(self._short(importer), self._short(imported), text)

    def _reason_against(self, importer: str, imported: str) -> str:
        """Why this import may not be; empty if it may."""
        wing = self._wing(importer)

        if imported.startswith(f"{self._container}."):
            other_wing = self._wing(imported)
            if other_wing == wing or other_wing in self._allowed.get(wing, ()):
                return ""
            return f"{wing} may not import {other_wing}"

        package = imported.partition(".")[0]
        if package == self._container.partition(".")[0]:
            return "plugin_utils may not import what uses it"

        allowed_packages = self._packages.get(wing, frozenset())
        allowed_packages |= self._packages.get(self._short(importer), frozenset())
        if package in STANDARD_LIBRARY or package in allowed_packages:
            return ""
        return f"{wing} may not import the package {package}"

    def _wing(self, module: str) -> str:
        return self._short(module).partition(".")[0]

    def _short(self, module: str) -> str:
        return module.removeprefix(f"{self._container}.")

    # import-linter sets the fields' values on the instance, which their types do not say.

    @property
    def _container(self) -> str:
        return str(self.container)

    @property
    def _allowed(self) -> Mapping[str, frozenset[str]]:
        return self.allowed  # type: ignore[return-value]

    @property
    def _packages(self) -> Mapping[str, frozenset[str]]:
        return self.packages  # type: ignore[return-value]
