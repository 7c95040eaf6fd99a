"""Running the migrations of `versions/` from code, up or down."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def run(ini: Path, url: str, revision: str) -> None:
    """Bring the database to `revision`: `head`, `base` or a revision's name. Blocks."""
    config = Config(ini)
    config.attributes["url"] = url
    if revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def check(ini: Path, url: str) -> None:
    """Raise alembic's CommandError when the tables in code are not the tables that the migrations make."""
    config = Config(ini)
    config.attributes["url"] = url
    command.check(config)
