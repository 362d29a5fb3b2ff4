"""The Hub's client with errors for people."""
