"""Monte Carlo tree search through mctx."""
