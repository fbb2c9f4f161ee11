"""Where the lines of `metrics.jsonl` go besides: TensorBoard, Weights & Biases.

Everything here is made of those lines, never of the training loop. So a run that was
interrupted leaves what one that was not leaves, and nothing here can change a run.
"""
