"""Recipe `ray-primes`: the smallest job on Ray."""
