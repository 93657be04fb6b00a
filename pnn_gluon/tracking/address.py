"""Where a tracker is: named by the configuration, with what may be secret in the environment alone."""

import base64
import os
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from pnn_gluon.config import Config
from pnn_gluon.errors import ConfigError
from pnn_gluon.secrets_masking import SECRET_VARIABLES

Kind: TypeAlias = Literal["mlflow", "openlineage"]

VARIABLES: dict[Kind, str] = {"mlflow": "PNN_GLUON_MLFLOW_URI", "openlineage": "PNN_GLUON_OPENLINEAGE_URL"}
"""By kind of tracker, where the DAG puts the URL of the Airflow connection that the configuration names."""


class Login(NamedTuple):
    """A URL without user and password, and those; the password alone is a token."""

    url: str
    user: str = ""
    password: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The header by which a server knows who asks."""
        if self.user:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {"Authorization": f"Bearer {self.password}"} if self.password else {}


def login_of(address: str) -> Login:
    """A URL taken apart.

    >>> login_of("https://:s3cret@tracker.example:5000/a")
    Login(url='https://tracker.example:5000/a', user='', password='s3cret')
    """
    parts = urlsplit(address)
    url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return Login(url, unquote(parts.username or ""), unquote(parts.password or ""))


def address_of(config: Config, kind: Kind) -> str | None:
    """The URL of a tracker, or the path of its file; None where the configuration names none.

    Raises:
        ConfigError: naming the variable that is not set; never with what another one holds.
    """
    given: str | None = getattr(config.tracking, kind)
    if given is None:
        return None
    how, _, name = given.partition(":")
    if not name:
        return config.resolve(given)
    variable = name if how == "env" else VARIABLES[kind]
    SECRET_VARIABLES.add(variable)
    address = os.environ.get(variable)
    if not address:
        raise ConfigError(
            f"environment variable {variable}: not set; tracking.{kind} = {given!r} needs it to hold the URL of the "
            "tracker, such as https://USER:PASSWORD@HOST or https://:TOKEN@HOST"
        )
    return address
