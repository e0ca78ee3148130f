"""Files in and out: pictures, PDF pages, WFDB records and the other result formats."""
