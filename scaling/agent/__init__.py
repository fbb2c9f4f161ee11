"""Networks, and the model they make: represent, dynamics, predict."""
