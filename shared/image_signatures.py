"""Image formats by the first bytes of a file: one table for what is fetched, listed and decoded."""

import re
from collections.abc import Collection

from shared.errors import Code, ItemError

#: First bytes of a file that decide its format: the list of brands of an ISO media file has no fixed length.
SIGNATURE_SIZE = 512
#: Names are Pillow's where it has one; the first match decides.
_SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb"\xff\xd8\xff\xf7", "JPEG-LS"),
        (rb"\xff\xd8\xff", "JPEG"),
        (rb"\x89PNG\r\n\x1a\n....CgBI", "CgBI PNG"),
        (rb"\x89PNG\r\n\x1a\n", "PNG"),
        (rb"[\x8a\x8b][MJ]NG\r\n\x1a\n", "MNG"),
        (rb"GIF8[79]a", "GIF"),
        (rb"RIFF....WEBP", "WEBP"),
        (rb"BM", "BMP"),
        (rb"II\*\0....CR\x02", "CR2"),
        (rb"II[*+]\0|MM\0[*+]", "TIFF"),
        (rb"II\xbc\x01", "JPEG XR"),
        (rb"II(?:RO|RS|U\0)|MMOR|FUJIFILMCCD-RAW", "camera raw"),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
        (rb"8BP[SB]", "PSD"),
        (rb"%!PS|\xc5\xd0\xd3\xc6", "EPS"),
        (rb"%PDF", "PDF"),
        (rb"\0\0[\1\2]\0[^\0]", "ICO"),
        (rb"icns", "ICNS"),
        (rb"qoif", "QOI"),
        (rb"DDS ", "DDS"),
        (rb"gimp xcf", "XCF"),
        (rb"v/1\x01", "OpenEXR"),
        (rb"#\?RADIANCE", "Radiance HDR"),
        (rb"BPG\xfb", "BPG"),
        (rb"FLIF", "FLIF"),
        (rb"AT&TFORM", "DjVu"),
        (rb"SIMPLE  =", "FITS"),
        (rb".{128}DICM", "DICOM"),
        (rb"P[4-7]\n", "PNM"),
        (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "WMF"),
        (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml|<!--|<!DOCTYPE svg|<svg)(?=.*<(?:!DOCTYPE )?svg)", "SVG"),
        (rb"(?:\xef\xbb\xbf)?\s*<svg", "SVG"),
    )
)
#: Formats in the ISO base media container by their brands (mp4ra.org); the first with a brand decides.
_BRANDS = (
    ("AVIF", {b"avif", b"avis"}),
    ("HEIC", {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}),
    ("JPEG XL", {b"jxl "}),
    ("camera raw", {b"crx "}),
    (
        "HEIF",
        {b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"avci", b"avcs", b"vvic", b"vvis", b"jpeg", b"j2ki"},
    ),
)
#: What a person can do about a format.
_ADVICE = {
    "HEIC": "SMARTSIGHT_HEIC=yes accepts it; an iPhone takes JPEG in the setting Most Compatible",
    "HEIF": "convert it to JPEG or AVIF",
    "TIFF": "SMARTSIGHT_TIFF=yes accepts it",
}


def format_from_signature(data: bytes) -> str | None:
    """Return the name of the format, in Pillow's spelling if it has one; None if it is unknown."""
    head = data[:SIGNATURE_SIZE]
    if head[4:8] == b"ftyp":
        return _format_from_brands(head)
    return next((name for signature, name in _SIGNATURES if signature.match(head)), None)


def _format_from_brands(head: bytes) -> str | None:
    """Return the format that a file type box announces (ISO/IEC 14496-12, 4.3), as major brand or another."""
    end = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(end, len(head)), 4))}
    return next((name for name, ours in _BRANDS if brands & ours), None)


def check_format(data: bytes, accepted: Collection[str]) -> str:
    """Return the format of a file; raise ``ItemError`` with ``not_an_image`` or ``unsupported_format``.

    The first ``SIGNATURE_SIZE`` bytes are enough, so a download can be refused before it is read.
    """
    kind = format_from_signature(data)
    if kind is None:
        raise ItemError(Code.NOT_AN_IMAGE)
    if kind not in accepted:
        advice = _ADVICE.get(kind)
        raise ItemError(Code.UNSUPPORTED_FORMAT, f"{kind}: {advice}" if advice else kind)
    return kind
