"""The demo's tests: a package, so that its servers and tabs, which compute even when idle, end with its last test."""
