"""Train the models on a folder of records: python train_model.py -d DATA -m MODEL."""

from cinc_ecg.challenge.drivers import train_main
from team_code import train_models

if __name__ == "__main__":
    train_main(train_models)
