"""Models and demos to the Hub."""
