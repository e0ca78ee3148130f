"""A stand-in of the organizers' helper file, written from its description: nothing of ours."""

import os

import numpy as np

substring_labels = "# Labels:"
substring_images = "# Image:"


def find_records(folder):
    found = set()
    for root, _, files in os.walk(folder):
        for file in files:
            if os.path.splitext(file)[1] == ".hea":
                found.add(os.path.relpath(os.path.join(root, file), folder)[:-4])
    return sorted(found)


def load_text(filename):
    with open(filename) as stream:
        return stream.read()


def save_text(filename, string):
    with open(filename, "w") as stream:
        stream.write(string)


def get_header_file(record):
    return record if record.endswith(".hea") else record + ".hea"


def load_header(record):
    return load_text(get_header_file(record))


def save_header(record, header):
    save_text(get_header_file(record), header)


def get_variables(string, name, sep=","):
    values, found = [], False
    for line in string.split("\n"):
        if line.startswith(name):
            values += [item.strip() for item in line[len(name) :].split(sep)]
            found = True
    return values, found


def get_labels_from_header(string):
    labels, found = get_variables(string, substring_labels)
    if not found:
        raise Exception("No labels available: no line for them in the header")
    return labels


def load_labels(record):
    return get_labels_from_header(load_header(record))


def fields(string, k):
    lines = string.split("\n")
    return [line.split(" ")[k].strip() for line in lines[1 : 1 + int(lines[0].split(" ")[1])]]


def save_signals(record, signal, comments=()):
    import wfdb  # slow to import, and most runs of the tests write nothing

    header = load_header(record)
    path, name = os.path.split(record)
    gains = fields(header, 2)
    wfdb.wrsamp(
        name,
        fs=float(header.split("\n")[0].split(" ")[2]),
        units=[gain.split("/")[1] for gain in gains],
        sig_name=fields(header, 8),
        p_signal=np.asarray(signal, dtype=np.float64),
        fmt=fields(header, 1),
        adc_gain=[float(gain.split("(")[0]) for gain in gains],
        baseline=[int(gain.split("(")[1].split(")")[0]) for gain in gains],
        write_dir=path,
        comments=[comment.replace("#", "").strip() for comment in comments],
    )


def save_labels(record, labels):
    header = load_header(record) + substring_labels + " " + ", ".join(labels) + "\n"
    save_header(record, header)
    return header
