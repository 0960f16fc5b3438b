"""Makes src/fonts/plain-zero.woff2: the zero of Atkinson Hyperlegible Next without its stroke, for times.

The font has no such zero of its own, and "10:00" reads as noise with three strokes. Names and ids keep the zero of the font, which
cannot be taken for an O. Run it once after the font was updated: pip install fonttools brotli, then python3 build/plain-zero.py.
The result is under the SIL Open Font License 1.1, as the font is.
"""

from array import array
from pathlib import Path

from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.TupleVariation import TupleVariation
from fontTools.varLib.instancer import instantiateVariableFont
from fontTools.varLib.models import piecewiseLinearMap

HERE = Path(__file__).resolve().parent
FILES = HERE / "../../../node_modules/@fontsource-variable/atkinson-hyperlegible-next/files"
SOURCE = FILES / "atkinson-hyperlegible-next-latin-wght-normal.woff2"
TARGET = HERE / "../src/fonts/plain-zero.woff2"


def contours(font):
    """The outer contour of the zero, and one inside it as wide and as high as the two halves of its counter."""
    glyph = font["glyf"]["zero"]
    points, ends, flags = glyph.getCoordinates(font["glyf"])
    outer = list(points[: ends[0] + 1])
    inner = list(points[ends[0] + 1 :])
    box = lambda some: (min(x for x, _ in some), min(y for _, y in some), max(x for x, _ in some), max(y for _, y in some))
    ox0, oy0, ox1, oy1 = box(outer)
    ix0, iy0, ix1, iy1 = box(inner)
    scale = lambda x, y: (
        ix0 + (x - ox0) * (ix1 - ix0) / (ox1 - ox0),
        iy0 + (y - oy0) * (iy1 - iy0) / (oy1 - oy0),
    )
    # The other way round, so that it is a hole.
    hole = [scale(x, y) for x, y in reversed(outer)]
    marks = list(flags[: ends[0] + 1])
    return [(round(x), round(y)) for x, y in outer + hole], marks + marks[::-1], len(outer)


font = TTFont(SOURCE)
(axis,) = font["fvar"].axes
# From where a master stands between the ends of the axis to its share of the axis.
shares = {to: at for at, to in font["avar"].segments["wght"].items()}
# Each master stands where the others have no weight.
masters = []
for variation in font["gvar"].variations["zero"]:
    _, peak, _ = variation.axes["wght"]
    share = piecewiseLinearMap(peak, shares)
    span = axis.maxValue - axis.defaultValue if share > 0 else axis.defaultValue - axis.minValue
    place = axis.defaultValue + share * span
    at_peak = instantiateVariableFont(TTFont(SOURCE), {"wght": place})
    masters.append((variation, contours(at_peak)[0], at_peak["hmtx"]["zero"][0]))

points, flags, size = contours(font)
advance = font["hmtx"]["zero"][0]
options = Options(layout_features=[], name_IDs=[0, 13, 14], notdef_outline=False)
subsetter = Subsetter(options)
subsetter.populate(unicodes=[0x30])
subsetter.subset(font)

pen = TTGlyphPen(None)
pen.moveTo((0, 0))
pen.lineTo((1, 0))
pen.lineTo((0, 1))
pen.closePath()
glyph = pen.glyph()
glyph.coordinates = type(glyph.coordinates)(points)
glyph.flags = array("B", flags)
glyph.endPtsOfContours = [size - 1, 2 * size - 1]
glyph.numberOfContours = 2
glyph.recalcBounds(font["glyf"])
font["glyf"]["zero"] = glyph
font["hmtx"]["zero"] = (advance, glyph.xMin)
font["gvar"].variations["zero"] = [
    TupleVariation(
        variation.axes,
        [(x - a, y - b) for (x, y), (a, b) in zip(there, points)] + [(0, 0), (width - advance, 0), (0, 0), (0, 0)],
    )
    for variation, there, width in masters
]
for table in ("HVAR", "STAT", "MVAR", "GSUB", "GPOS"):
    if table in font:
        del font[table]
for record in font["name"].names[:]:
    if record.nameID not in (0, 13, 14):
        font["name"].removeNames(nameID=record.nameID)
for number, text in ((1, "Plain Zero"), (2, "Regular"), (4, "Plain Zero"), (6, "PlainZero")):
    font["name"].setName(text, number, 3, 1, 0x409)
font.flavor = "woff2"
TARGET.parent.mkdir(exist_ok=True)
font.save(TARGET)
print(TARGET.resolve(), TARGET.stat().st_size, "bytes")
