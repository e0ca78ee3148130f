"""A stand-in of the organizers' run script, written from its description."""

import argparse
import sys

from helper_code import *
from team_code import load_models, run_models


def get_parser():
    parser = argparse.ArgumentParser(description="Run the model.")
    parser.add_argument("-d", "--data_folder", type=str, required=True)
    parser.add_argument("-m", "--model_folder", type=str, required=True)
    parser.add_argument("-o", "--output_folder", type=str, required=True)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-f", "--allow_failures", action="store_true")
    return parser


def run(args):
    if args.verbose:
        print("Loading the Challenge model...")
    digitization_model, classification_model = load_models(args.model_folder, args.verbose)
    if args.verbose:
        print("Finding the Challenge data...")
    records = find_records(args.data_folder)
    if len(records) == 0:
        raise Exception("No data were provided.")
    os.makedirs(args.output_folder, exist_ok=True)
    if args.verbose:
        print("Running the Challenge model(s) on the Challenge data...")
    for i, record in enumerate(records):
        if args.verbose:
            width = len(str(len(records)))
            print(f"- {i + 1:>{width}}/{len(records)}: {record}...")
        data_record = os.path.join(args.data_folder, record)
        try:
            signals, labels = run_models(
                data_record, digitization_model, classification_model, args.verbose
            )
        except:
            if not args.allow_failures:
                raise
            if args.verbose:
                print("... failed.")
            signals, labels = None, None
        output_record = os.path.join(args.output_folder, record)
        os.makedirs(os.path.split(output_record)[0], exist_ok=True)
        data_header = load_header(data_record)
        save_header(output_record, data_header)
        if signals is not None:
            comments = [line for line in data_header.split("\n") if line.startswith("#")]
            save_signals(output_record, signals, comments)
        if labels is not None:
            save_labels(output_record, labels)
    if args.verbose:
        print("Done.")


if __name__ == "__main__":
    run(get_parser().parse_args(sys.argv[1:]))
