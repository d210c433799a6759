"""Names and values that Kubernetes takes, checked before anything is written.

Object names are DNS labels (RFC 1035, which Services ask for), namespaces labels and Secrets subdomains of RFC 1123;
quantities are Kubernetes' own notation. What lies outside is refused, never repaired.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from pack.errors import InvalidValue

_LABEL_1035 = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_LABEL_1123 = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL_1123.pattern}(?:\.{_LABEL_1123.pattern})*")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_CPU = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?|[0-9]{1,7}m")
_MEMORY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)(Ki|Mi|Gi|Ti|k|M|G|T|)")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_HOST = r"(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_HOST}{_PATH}(?:/{_PATH})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_IMAGE_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?")
_IMAGE = re.compile(rf"{_HOST}{_PATH}(?:/{_PATH})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")


def object_name(text: str) -> str:
    """The name of an object; raises `InvalidValue` for anything but a DNS label of up to 52 characters.

    Kubernetes takes 63; what it makes of the object, such as pods and hosts of KServe, is named longer.
    """
    return _checked(
        text,
        _LABEL_1035,
        52,
        "the name of a Kubernetes object",
        "use up to 52 of a-z, 0-9 and -, first a letter, last no -: --name churn",
    )


def namespace_name(text: str) -> str:
    """The name of a namespace; raises `InvalidValue` for anything but a DNS label."""
    return _checked(text, _LABEL_1123, 63, "the name of a namespace", "use up to 63 of a-z, 0-9 and -: --namespace ml")


def name_from(model: str) -> str:
    """The object name that goes with a registered model's: in small letters, with - for blanks, dots and _."""
    return object_name(re.sub(r"[ ._-]+", "-", model.lower()))


def secret_name(text: str) -> str:
    """The name of a Secret; raises `InvalidValue` for anything but a DNS subdomain."""
    return _checked(text, _SUBDOMAIN, 253, "the name of a Secret", "use a-z, 0-9, - and dots, such as churn-keys")


def secret_key(text: str) -> str:
    """A key in a Secret; raises `InvalidValue` for other characters than letters, digits, -, _ and dots."""
    return _checked(text, _SECRET_KEY, 253, "a key of a Secret", "use letters, digits, -, _ and dots, such as keys")


def host_name(text: str) -> str:
    """A name that clients call a server by; raises `InvalidValue` for anything but a DNS name."""
    return _checked(text, _SUBDOMAIN, 253, "the name of a host", "use a DNS name, such as churn.example.com")


def variable_name(text: str) -> str:
    """The name of an environment variable; raises `InvalidValue` for other characters than letters, digits and _."""
    return _checked(
        text,
        _VARIABLE,
        256,
        "the name of an environment variable",
        "use letters, digits and _, such as PACK_SERVE_TIMEOUT",
    )


def variable_value(text: str) -> str:
    """The value of an environment variable; raises `InvalidValue` for control characters but tabs and line ends."""
    bad = {one for one in text if unicodedata.category(one) in {"Cc", "Cs"} and one not in "\t\n"}
    if bad or len(text) > 32_768:
        what = f"holds {min(bad)!a}" if bad else f"has {len(text):,} characters"
        raise InvalidValue(
            f"the value of an environment variable {what}",
            hint="use up to 32,768 characters, none of them control characters",
        )
    return text


def plain_value(text: str, what: str) -> str:
    """The value of a variable or label of an image; raises `InvalidValue` for line ends and other control characters.

    A Dockerfile has no way to write them.
    """
    if not text.isprintable() or len(text) > 32_768:
        bad = next((one for one in text if not one.isprintable()), None)
        raise InvalidValue(
            f"{what} {f'holds {bad!a}' if bad else f'has {len(text):,} characters'}",
            hint="use up to 32,768 characters, all of them printable",
        )
    return text


def plain_text(text: str) -> str:
    """A text that others wrote, as the value of a label: what cannot be printed is shown, and the rest is cut."""
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:1000])
    return shown[:1000]


def label_name(text: str) -> str:
    """The name of a label of an image; raises `InvalidValue` for other characters than OCI asks for."""
    return _checked(
        text, _IMAGE_LABEL, 256, "the name of a label", "use letters, digits, - _ . /, such as com.example.team"
    )


def repository(text: str) -> str:
    """The name of an image without tag and digest; raises `InvalidValue` for anything outside Docker's grammar."""
    return _checked(
        text, _REPOSITORY, 255, "the name of an image", "use small letters, such as ml/churn; --tag for the tag"
    )


def tag(text: str) -> str:
    """The tag of an image; raises `InvalidValue` for anything outside Docker's grammar."""
    return _checked(text, _TAG, 128, "the tag of an image", "use letters, digits, _ . and -, such as 1.4")


def system_package(text: str) -> str:
    """The name of a Debian package; raises `InvalidValue` for options, versions, patterns and everything else."""
    return _checked(text, _PACKAGE, 100, "the name of a system package", "use a plain name, such as libgomp1")


def literal(text: str) -> str:
    """A text of which Kubernetes expands nothing: `$(NAME)` in variables and arguments stays what it is."""
    return text.replace("$", "$$")


def label_value(text: str) -> str | None:
    """A text as the value of a label; None where it cannot be one."""
    return text if _LABEL_VALUE.fullmatch(text) else None


def image_reference(text: str) -> str:
    """The name of an image, with its registry, tag and digest; raises `InvalidValue` for anything else."""
    return _checked(
        text, _IMAGE, 512, "the name of an image", "use small letters, such as registry.example.com/ml/churn:3"
    )


def cpu_quantity(text: str) -> str:
    """Cores such as `2`, `0.5` or `500m`; raises `InvalidValue` for anything else, and for none."""
    _checked(text, _CPU, 12, "an amount of CPU", "give cores, such as --cpu 2 or --cpu 500m")
    if cores(text) <= 0:
        raise InvalidValue("a pod without CPU cannot run", hint="give cores, such as --cpu 500m")
    return text


def cores(quantity: str) -> Decimal:
    """The cores in a checked quantity."""
    return Decimal(quantity[:-1]) / 1000 if quantity.endswith("m") else Decimal(quantity)


def memory_quantity(text: str) -> str:
    """Memory such as `512Mi` or `2Gi`; raises `InvalidValue` for anything else, and for less than 64 MiB."""
    _checked(text, _MEMORY, 20, "an amount of memory", "give bytes with a unit, such as --memory 2Gi")
    if memory_bytes(text) < 64 * 2**20:
        raise InvalidValue(f"{text} of memory is not enough for a server", hint="give 64Mi or more: --memory 1Gi")
    return text


def memory_bytes(quantity: str) -> int:
    """The bytes in a checked quantity."""
    number, unit = _MEMORY.fullmatch(quantity).groups()  # type: ignore[union-attr]
    return int(Decimal(number) * _UNITS[unit])


def _checked(text: str, pattern: re.Pattern[str], longest: int, what: str, hint: str) -> str:
    if len(text) > longest or not pattern.fullmatch(text):
        raise InvalidValue(f"{text[:100]!a} cannot be {what}", hint=hint)
    return text
