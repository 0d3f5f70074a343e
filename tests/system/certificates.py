"""A certificate authority of a test's own (trustme), written as files the way brokers and robots read them."""

from __future__ import annotations

from pathlib import Path

import trustme


class Authority:
    """`pem` is the authority's certificate; `issue` returns the files of a certificate and its key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._ca = folder, trustme.CA()
        self.pem = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.pem))

    def issue(self, host: str) -> tuple[Path, Path]:
        """Returns the paths of a certificate chain for `host` and of its private key, both PEM."""
        issued = self._ca.issue_cert(host)
        certificate, key = self._folder / f"{host}.pem", self._folder / f"{host}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key
