import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.roles.kubernetes.plugins import load

site_certificate = load("roles/tls_certificate/filter_plugins/site_certificate.py").site_certificate
NAMES = ["registry.lab.example", "192.0.2.11"]


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain).decode()


def authority(days: int = 3650) -> tuple[str, str]:
    """Certificate and key of an authority, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name("site"))
        .issuer_name(name("site"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode(), pem(key)


def request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    built = x509.CertificateSigningRequestBuilder().subject_name(name("registry")).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM).decode()


SITE = authority()
REQUEST = request()


def test_the_certificate_is_for_the_names_and_for_servers_only() -> None:
    certificate = x509.load_pem_x509_certificate(site_certificate(REQUEST, "", *SITE, NAMES).encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["registry.lab.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("192.0.2.11")]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        x509.ExtendedKeyUsageOID.SERVER_AUTH
    ]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(SITE[0].encode()))


def test_one_that_fits_stays() -> None:
    present = site_certificate(REQUEST, "", *SITE, NAMES)
    assert site_certificate(REQUEST, present, *SITE, NAMES[::-1]) == present


@pytest.mark.parametrize("case", ["other names", "other key", "other authority", "ends soon", "garbage"])
def test_one_that_does_not_fit_is_replaced(case: str) -> None:
    request_now, site, names = REQUEST, SITE, NAMES
    present = site_certificate(REQUEST, "", *SITE, NAMES)
    if case == "other names":
        names = [*NAMES, "more.lab.example"]
    elif case == "other key":
        request_now = request()
    elif case == "other authority":
        site = authority()
    elif case == "ends soon":
        site = authority(days=29)
        present = site_certificate(REQUEST, "", *site, NAMES)
    else:
        present = "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"
    assert site_certificate(request_now, present, *site, names) != present
