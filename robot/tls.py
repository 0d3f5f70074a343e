"""[B] A certificate and its key from the files that settings name."""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path

from robot.certificates import Certificate, valid_until
from robot.config import Settings
from robot.errors import ConfigError


def server_context(cert: str, key: str, section: str) -> ssl.SSLContext:
    """Returns what serves with this certificate; raises as `load_pair` does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, cert, key, section)
    return context


def client_context(authority: str, cert: str, key: str, section: str) -> ssl.SSLContext:
    """Returns what trusts servers that `authority` has signed (empty: the system's own authorities) and shows this certificate, if any.

    Raises ConfigError, in which `section` is where tls_ca was set, and as `load_pair` does.
    """
    try:
        context = ssl.create_default_context(cafile=authority or None)
    except (OSError, ssl.SSLError) as error:
        why = (
            "is no PEM file of certificates" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
        )
        raise ConfigError(f"{section}.tls_ca: {authority} {why} (name the authority's certificate, as PEM)") from error
    if cert:
        load_pair(context, cert, key, section)
    return context


def shown(settings: Settings) -> tuple[Certificate, ...]:
    """Returns the certificates that a robot with these settings shows to others, as far as they can be read and told."""
    files = [("stream.tls_cert", settings.stream.tls_cert)]
    if settings.uplink.broker:
        files.append(("uplink.tls_cert", settings.uplink.tls_cert))
    found = []
    for where, path in files:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if path and (until_utc := valid_until(Path(path).read_text(encoding="ascii"))):
                found.append(Certificate(where, until_utc))
    return tuple(found)


def load_pair(context: ssl.SSLContext, cert: str, key: str, section: str) -> None:
    """Makes the context show this certificate; raises ConfigError, in which `section` is where tls_cert and tls_key were set.

    An empty `key`: it is in the certificate's file.
    """
    unreadable = [
        f"{section}.{name}: {path} cannot be read (name an existing PEM file that the robot's user may read)"
        for name, path in (("tls_cert", cert), ("tls_key", key))
        if path and not (os.access(path, os.R_OK) and Path(path).is_file())
    ]
    if unreadable:
        raise ConfigError(unreadable)

    def no_passphrase() -> str:
        raise ConfigError(
            f"{section}.tls_key: {key or cert} is locked with a passphrase, and nobody is there to type it when the robot starts "
            "(write the key without one; openssl pkey -in KEY -out NEW)"
        )

    try:
        context.load_cert_chain(cert, key or None, no_passphrase)
    except ssl.SSLError as error:
        what = "one of them does not hold what it is to (PEM text: tls_cert the certificate, tls_key its key)"
        if error.reason == "KEY_VALUES_MISMATCH":
            what = "the key is not that of the certificate (name the two that belong together)"
        raise ConfigError(f"{section}.tls_cert, {section}.tls_key: {what}") from error
