"""What may be kept of a row: dropped, pseudonymised, coarse."""
