"""Files, processes, devices and random numbers, which all other packages use."""
