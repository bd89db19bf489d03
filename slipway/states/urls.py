"""The URLs of databases: which can be used, and what is wrong with others."""

from __future__ import annotations

import os
import warnings
from urllib.parse import quote

import sqlalchemy as sa

from slipway import errors
from slipway.states import postgresql
from slipway.texts import masked_url

_BACKENDS = {
    "sqlite": "SQLite (sqlite:///FILE)",
    "postgresql": "PostgreSQL (postgresql://USER@HOST/NAME)",
}


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """The URL of an SQLite database in that file, whatever signs are in its name."""
    name = os.fspath(path)
    url = sa.URL.create("sqlite", database=name)
    if "?" in name:
        # SQLAlchemy's own URLs have no way to say it before 2.1.
        url = sa.URL.create("sqlite", database=f"file:{quote(name)}", query={"uri": "true"})
    return url.render_as_string(hide_password=False)


def parsed_url(url: str) -> sa.URL:
    """The parts of a URL of a database that can have the record. Raises `DatabaseUnavailable`."""
    shown = masked_url(url)
    if "://" not in url:
        # Older ones of SQLAlchemy repeat it, with the password in it.
        raise errors.DatabaseUnavailable(f"{shown}: not a database URL that can be used: there is no :// in it")
    try:
        with warnings.catch_warnings():
            # SQLAlchemy only warns of a part of the URL that no driver knows.
            warnings.simplefilter("error", sa.exc.SAWarning)
            parsed = sa.make_url(url)
            if parsed.get_backend_name() not in _BACKENDS:
                raise sa.exc.ArgumentError(f"the record is in {' or '.join(_BACKENDS.values())}, and in nothing else")
            if parsed.drivername == "postgresql":
                # Older ones of SQLAlchemy take another driver by that name.
                parsed = parsed.set(drivername="postgresql+psycopg")
            kind = parsed.get_dialect()
            if parsed.get_backend_name() == "postgresql" and kind.driver != "psycopg":
                raise sa.exc.ArgumentError(f"its driver is psycopg here, not {kind.driver}: write postgresql://")
            if kind.is_async:
                raise sa.exc.ArgumentError("its driver is for asyncio")
            kind.import_dbapi()
            _, known = kind().create_connect_args(parsed)
            if parsed.get_backend_name() == "postgresql":
                postgresql.check_options(parsed.query)
            # Older ones of SQLAlchemy say nothing of them. With `uri` they are SQLite's own.
            unknown = parsed.query.keys() - known.keys()
            if unknown and parsed.get_backend_name() == "sqlite" and not known.get("uri"):
                raise sa.exc.ArgumentError(f"there is no {', '.join(sorted(unknown))}")
    except ModuleNotFoundError as error:
        text = f"its driver, the Python module {error.name}, is not installed"
        if error.name == "psycopg":
            text += ": pip install 'slipway[postgresql]'"
        raise errors.DatabaseUnavailable(f"{shown}: {text}") from error
    except ImportError as error:
        text = f"its driver cannot be loaded: {' '.join(str(error).split())}"
        raise errors.DatabaseUnavailable(f"{shown}: {text}") from error
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, sa.exc.SAWarning, ValueError, TypeError) as error:
        raise errors.DatabaseUnavailable(f"{shown}: not a database URL that can be used: {error}") from error
    return parsed
