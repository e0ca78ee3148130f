"""Helper functions for Challenge code; the organizers may replace this file by their own."""

from cinc_ecg.challenge.helpers import *
