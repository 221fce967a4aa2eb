"""What a run asks of an endpoint: pace, places, retries, cost, and estimates of them.

The protocol spoken is the adapter's.
"""
