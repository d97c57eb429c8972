"""Fitting candidates and scoring rows: the user's estimator behind one small interface."""
