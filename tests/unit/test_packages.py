"""Our packages have plain names (core, tasks, db ...): nothing that is installed may have the same."""

from importlib.metadata import packages_distributions

OURS = {"core", "tasks", "db", "workers", "scripts", "tests"}


def test_no_installed_distribution_ships_a_top_level_package_of_ours() -> None:
    shipped = packages_distributions()
    others = {name: set(shipped.get(name, ())) - {"llmsweep"} for name in OURS}
    assert {name: found for name, found in others.items() if found} == {}
