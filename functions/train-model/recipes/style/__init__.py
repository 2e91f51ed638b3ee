"""The recipe `style`: fast neural style transfer."""
