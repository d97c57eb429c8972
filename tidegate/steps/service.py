"""stub"""
from dataclasses import dataclass
@dataclass
class LastMinute:
    requests: int; failed: int; throttled: int; p99: float; seconds: float
def service_alarm(stores, model, seen, now): pass
