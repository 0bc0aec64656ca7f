"""Floor 5: what it costs: benchmark, peers, cost model, diagnosis."""
