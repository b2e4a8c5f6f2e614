"""Sign a host's certificate request with the site's authority. Runs on the operator's machine only."""

import datetime
import ipaddress
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

_VALID = datetime.timedelta(days=397)
# A site that is installed again after three months gets new ones.
_RENEW_BEFORE = datetime.timedelta(days=310)
# Clocks of hosts may lag behind the operator's.
_BACKDATED = datetime.timedelta(minutes=5)


def site_certificate(
    request: str, present: str, authority_certificate: str, authority_key: str, names: Sequence[str]
) -> str:
    """The certificate (PEM) that the service should have.

    `present` (PEM, may be empty) comes back as it is while it fits: same key, same authority, same names and
    more than 310 days left. Otherwise the request (PEM) is signed for `names` (DNS names and addresses),
    valid 397 days, for servers.
    """
    asked = x509.load_pem_x509_csr(request.encode())
    authority = x509.load_pem_x509_certificate(authority_certificate.encode())
    if present.strip() and _fits(present, asked, authority, names):
        return present
    key = serialization.load_pem_private_key(authority_key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TypeError("the site's authority must have an EC or an RSA key")
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.subject)
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(min(now + _VALID, authority.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _fits(
    present: str, asked: x509.CertificateSigningRequest, authority: x509.Certificate, names: Sequence[str]
) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(present.encode())
        certificate.verify_directly_issued_by(authority)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # whatever is wrong with it, a new one is the remedy
        return False
    return (
        certificate.public_key() == asked.public_key()
        and set(found) == {_general_name(name) for name in names}
        and certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > _RENEW_BEFORE
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by name."""
        return {"site_certificate": site_certificate}
