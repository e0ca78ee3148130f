"""A minimal PDF writer for tests: pages given as content streams."""


def make_pdf(contents, *, box=(0, 0, 595, 842), rotate=0, crop=None, resources=b""):
    """Return the bytes of a PDF with one page per content stream, an uncompressed one."""
    kids = " ".join(f"{3 + 2 * k} 0 R" for k in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
    ]
    for k, content in enumerate(contents):
        extra = f" /Rotate {rotate}" + (f" /CropBox [{' '.join(map(str, crop))}]" if crop else "")
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{' '.join(map(str, box))}]{extra} "
            f"/Contents {4 + 2 * k} 0 R /Resources << "
        ).encode()
        objects.append(page + resources + b" >> >>")
        data = content.encode() if isinstance(content, str) else content
        objects.append(b"<< /Length %d >>\nstream\n" % len(data) + data + b"\nendstream")
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        start,
    )
    return bytes(out)
