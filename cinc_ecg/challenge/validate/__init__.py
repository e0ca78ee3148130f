"""Find out before submitting what the organizers would find: `cinc-ecg validate`."""
