"""What everything else runs on: files, processes, devices, random numbers."""
