"""Run the trained models on a folder of records: python run_model.py -d DATA -m MODEL -o OUTPUT."""

from cinc_ecg.challenge.drivers import run_main
from team_code import load_models, run_models

if __name__ == "__main__":
    run_main(load_models, run_models)
