"""Sequential detectors: sudden and gradual change in a series, with a stated rate of false alarms."""
