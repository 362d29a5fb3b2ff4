"""What a run leaves on the disk: its folder, checkpoints, where it came from, figures, a report."""
