"""The pictures in a notebook's outputs: what is there, is it a picture at all, and does it look like another one.

Two renderings of one figure may differ in some pixels, so they are compared small and in grey: `distance` is the mean absolute
difference (0 to 255) at `WIDTH` pixels across. In reruns of notebooks 04, 07, 08, 09 and 12 a figure whose numbers are compared
came out at 0.0 to 0.3 from the stored one; two different figures of one size are at least 4 apart, 38 in the median. A cell
that is ignored because it measures times draws other bars each time: there reruns on a busy machine were 2 to 10 apart, and 32
for a map of colours, so that only a gross swap can be told from another measurement.
"""
import base64
import io
import re
from collections.abc import Iterable

from PIL import Image, ImageChops, ImageStat, UnidentifiedImageError

WIDTH = 64
SAME = 2.0  # the largest distance from a fresh drawing of the same numbers
MEASURED = 60.0  # from a fresh drawing of other measurements
SMALLEST = 64  # pixels; a figure of the course is several hundred wide and high
EMBEDDED = re.compile(r"data:image/(?:png|jpeg);base64,([^\"')>]*)")


def encoded_pictures(outputs: Iterable) -> list[str]:
    """The pictures of a cell's outputs in base64, bare or inside HTML, in their order."""
    found = []
    for output in outputs:
        data = output.get("data", {})
        found += [data[kind] for kind in ("image/png", "image/jpeg") if kind in data]
        found += EMBEDDED.findall(data.get("text/html", ""))
    return found


def decode(encoded: str) -> Image.Image:
    """The picture in grey, on white where it is transparent. Raises ValueError if there is none in `encoded`."""
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    except (ValueError, OSError, SyntaxError, UnidentifiedImageError) as error:
        raise ValueError(f"a picture does not decode: {error}") from None
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("L")


def require_real(picture: Image.Image) -> None:
    """Raise ValueError for a stub: a few pixels, or one colour all over."""
    if min(picture.size) < SMALLEST:
        raise ValueError(f"a picture has {picture.width} x {picture.height} pixels; a figure has at least {SMALLEST} each way")
    low, high = picture.getextrema()
    if low == high:
        raise ValueError("a picture is one colour all over")


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two grey pictures of one size, scaled down: 0 for the same, 255 for black against white."""
    small = (WIDTH, max(1, round(WIDTH * one.height / one.width)))
    difference = ImageChops.difference(*(picture.resize(small, Image.Resampling.BOX) for picture in (one, other)))
    return ImageStat.Stat(difference).mean[0]


def require_alike(stored: str, fresh: str, most: float) -> None:
    """Raise ValueError if the stored picture is a stub, has another size than the fresh one, or is further than `most` from it."""
    one, other = decode(stored), decode(fresh)
    require_real(one)
    if one.size != other.size:
        raise ValueError(f"the stored picture has {one.width} x {one.height} pixels, the fresh one {other.width} x {other.height}")
    if (apart := distance(one, other)) > most:
        raise ValueError(f"the stored picture differs from the fresh one by {apart:.1f} of 255; at most {most} is usual")
