"""The Hub's client, with errors that say what to do."""
