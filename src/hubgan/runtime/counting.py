"""Numbers of things in messages."""


def counted(number: int, noun: str) -> str:
    """The number and the noun in the right form, such as "1 picture", "2,000 pictures", "3 classes"."""
    plural = "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"
