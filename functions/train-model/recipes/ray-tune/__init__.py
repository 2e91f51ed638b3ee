"""Recipe `ray-tune`: a search for the best arguments of a training program, on Ray."""
