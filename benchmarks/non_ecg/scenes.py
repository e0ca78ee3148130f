"""Photographs, screens, plans, codes and textures made of noise and shapes."""

from __future__ import annotations

import numpy as np

from benchmarks.non_ecg.sheet import INK, SIZE, Draw, Pixels, Rng, Sheet, clouds, wander


def _coloured(rng: Rng, power: float, low: tuple[int, ...], high: tuple[int, ...]) -> Pixels:
    field = clouds(rng, SIZE, power)[..., None]
    return np.asarray(np.array(low) + field * (np.array(high) - np.array(low))).astype(np.uint8)


def _landscape(rng: Rng) -> Pixels:
    pixels = _coloured(rng, 1.6, (40, 70, 30), (210, 220, 150)).copy()
    horizon = (330 + 60 * wander(rng, SIZE[0], 20)).astype(int)
    sky = np.arange(SIZE[1])[:, None] < horizon[None]
    pixels[sky] = _coloured(rng, 2.0, (120, 160, 220), (245, 245, 250))[sky]
    return pixels


def _portrait(rng: Rng) -> Pixels:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    face = np.exp(-(((x - 620) / 220.0) ** 4) - ((y - 430) / 290.0) ** 4)[..., None]
    back = _coloured(rng, 1.8, (60, 60, 80), (150, 140, 150))
    skin = _coloured(rng, 2.2, (190, 140, 110), (235, 190, 160))
    return np.asarray(back * (1 - face) + skin * face).astype(np.uint8)


def _radiograph(rng: Rng) -> Pixels:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    grey = 60 + 120 * np.exp(-(((x - 620) / 90.0) ** 2))
    for k in range(9):
        grey += 60 * np.exp(-(((y - 130 - 85 * k + ((x - 620) / 30.0) ** 2 / 4) / 16.0) ** 2))
    grey = np.clip(grey + 60 * (clouds(rng, SIZE, 1.5) - 0.5), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def _noise(rng: Rng) -> Pixels:
    return rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def _blank(rng: Rng) -> Pixels:
    return Sheet().pixels()


def _gradient(rng: Rng) -> Pixels:
    ramp = np.linspace(20, 240, SIZE[0])[None] * np.linspace(0.5, 1, SIZE[1])[:, None]
    return np.repeat(ramp[..., None], 3, 2).astype(np.uint8)


def _checkerboard(rng: Rng) -> Pixels:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    return np.repeat((((x // 24 + y // 24) % 2) * 255)[..., None], 3, 2).astype(np.uint8)


def _shapes(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(230, 225, 210))
    for _ in range(60):
        x, y, size = rng.uniform(0, 1200), rng.uniform(0, 900), rng.uniform(20, 180)
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        shape = sheet.pen.ellipse if rng.random() < 0.5 else sheet.pen.rectangle
        shape([x, y, x + size, y + size * rng.uniform(0.3, 1)], fill=colour)
    return sheet.pixels()


def _bricks(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(190, 185, 175))
    for r in range(32):
        for c in range(-1, 16):
            x, y = 80 * c + 40 * (r % 2), 30 * r
            red = int(rng.integers(130, 190))
            sheet.pen.rectangle([x + 3, y + 3, x + 76, y + 26], fill=(red, red // 2, red // 3))
    return sheet.pixels()


def _fabric(rng: Rng) -> Pixels:
    """A woven cloth: fine periodic threads in both directions."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(float)
    weave = 40 * np.sin(x / 1.6) * np.sin(y / 40) + 40 * np.sin(y / 1.6) * np.sin(x / 40)
    grey = 130 + weave + 15 * rng.normal(size=x.shape)
    return np.clip(grey[..., None] * np.array([0.8, 0.9, 1.1]), 0, 255).astype(np.uint8)


def _topographic_map(rng: Rng) -> Pixels:
    """Contour lines over a survey grid."""
    height = clouds(rng, SIZE, 2.2)
    sheet = Sheet(colour=(248, 246, 236))
    pixels = sheet.pixels().copy()
    band = np.floor(height * 30)
    edge = (np.diff(band, axis=0)[:, :-1] != 0) | (np.diff(band, axis=1)[:-1] != 0)
    pixels[:-1, :-1][edge] = (150, 100, 60)
    pixels[::118] = pixels[:, ::118] = (90, 130, 190)
    return pixels


def _street_map(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(240, 237, 228))
    for _ in range(40):
        x, y, angle = rng.uniform(0, 1240), rng.uniform(0, 940), rng.choice([0.2, 1.77])
        dx, dy = 900 * np.cos(angle), 900 * np.sin(angle)
        ends = [(x - dx, y - dy), (x + dx, y + dy)]
        sheet.pen.line(ends, fill=(200, 195, 185), width=14)
        sheet.pen.line(ends, fill=(255, 255, 255), width=10)
    for _ in range(25):
        sheet.write(rng.uniform(0, 1100), rng.uniform(0, 900), "Main St", 16)
    return sheet.pixels()


def _floor_plan(rng: Rng) -> Pixels:
    """Rooms on squared paper."""
    sheet = Sheet()
    sheet.lines(24, (205, 220, 235))
    for _ in range(9):
        x, y = 24 * rng.integers(2, 30), 24 * rng.integers(2, 22)
        w, h = 24 * rng.integers(6, 20), 24 * rng.integers(5, 14)
        sheet.pen.rectangle([x, y, x + w, y + h], outline=INK, width=6)
        sheet.write(x + 20, y + 20, "Room", 20)
    return sheet.pixels()


def _circuit(rng: Rng) -> Pixels:
    """Zigzag resistors between wires on a dotted grid, labelled V1, V2, ..."""
    sheet = Sheet()
    for x in range(0, 1240, 20):
        for y in range(0, 940, 20):
            sheet.pen.point((x, y), fill=(150, 150, 150))
    for r in range(5):
        y = 120 + 170 * r
        sheet.pen.line([(80, y), (1160, y)], fill=INK, width=2)
        for k in range(3):
            x = 220 + 320 * k
            zigzag = y + 16 * np.array([0, -1, 1, -1, 1, -1, 1, 0])
            sheet.pen.rectangle([x, y - 20, x + 84, y + 20], fill=(255, 255, 255))
            sheet.curve(x + 12 * np.arange(8), zigzag, INK, 2)
            sheet.write(x + 20, y + 24, f"V{3 * r + k + 1}", 20)
    return sheet.pixels()


def _barcode(rng: Rng) -> Pixels:
    sheet = Sheet((900, 420))
    x = 60.0
    while x < 830:
        width = float(rng.integers(1, 5) * 3)
        sheet.pen.rectangle([x, 50, x + width - 1, 330], fill=INK)
        x += width + 3 * rng.integers(1, 4)
    sheet.write(260, 345, "4 006381 333931", 34)
    return sheet.pixels()


def _matrix_code(rng: Rng) -> Pixels:
    cells = rng.random((37, 37)) < 0.5
    pixels = np.where(np.kron(cells, np.ones((20, 20), bool)), 0, 255).astype(np.uint8)
    return np.repeat(np.pad(pixels, 80, constant_values=255)[..., None], 3, 2)


def _screenshot(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(236, 238, 241))
    sheet.pen.rectangle([0, 0, 1240, 46], fill=(45, 85, 150))
    sheet.pen.rectangle([20, 70, 280, 900], fill=(255, 255, 255))
    for k in range(14):
        sheet.write(40, 90 + 52 * k, f"Menu entry {k}", 18)
    for k in range(6):
        x, y = 310 + 310 * (k % 3), 80 + 400 * (k // 3)
        sheet.pen.rectangle([x, y, x + 280, y + 360], fill=(255, 255, 255), outline=(200, 200, 205))
        sheet.paragraph(rng, (x + 16, y + 20, x + 260, y + 330), 14)
    return sheet.pixels()


def _dark_code(rng: Rng) -> Pixels:
    sheet = Sheet(colour=(30, 30, 34))
    for r in range(40):
        indent = 30 * rng.integers(0, 4)
        text = "for lead in leads: total += value[k]"[: int(rng.integers(8, 36))]
        sheet.write(20, 14 + 23 * r, str(r), 15, (110, 110, 110))
        sheet.write(70 + indent, 14 + 23 * r, text, 15, (180, 210, 240))
    return sheet.pixels()


SCENES: dict[str, Draw] = {
    "landscape": _landscape,
    "portrait": _portrait,
    "radiograph": _radiograph,
    "noise": _noise,
    "blank page": _blank,
    "gradient": _gradient,
    "checkerboard": _checkerboard,
    "shapes": _shapes,
    "brick wall": _bricks,
    "fabric": _fabric,
    "topographic map": _topographic_map,
    "street map": _street_map,
    "floor plan": _floor_plan,
    "circuit diagram": _circuit,
    "barcode": _barcode,
    "matrix code": _matrix_code,
    "screenshot": _screenshot,
    "source code, dark": _dark_code,
}
